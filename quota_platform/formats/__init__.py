"""How dates and times are written on pages: named by FORMAT_MODULE_PATH in the settings."""
