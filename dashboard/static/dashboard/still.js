// Pages without live numbers: only the theme and the menus move.
import { wireTheme } from "./shell.js";

wireTheme();
