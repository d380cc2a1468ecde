"""A kind of contact point: its fields, and the form in which a message is sent to it.

Each kind stands in a module of its own; ``registry.py`` lists them. Sources of the forms are the services' public
references, named in each module.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, NamedTuple

from django.utils.functional import Promise

from limiter.alerts.message import Message


class AddressKind(Enum):
    """How a kind is addressed. ``SECRET_URL``: its path is the secret, so it is sealed and only its host is shown."""

    URL = auto()
    SECRET_URL = auto()
    MAIL = auto()


class Contact(NamedTuple):
    """A contact point opened for one attempt. ``uid`` tells two platforms apart that post to one service."""

    uid: str
    url: str
    secret: str
    recipients: tuple[str, ...]


class Post(NamedTuple):
    """A request to make."""

    url: str
    headers: dict[str, str]
    body: bytes


class Mail(NamedTuple):
    """A mail to send."""

    subject: str
    text: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind(ABC):
    """``default_url``: taken where none is given. ``credential``: the secret that a person enters; None: there is none.

    ``signs``: the platform makes the secret itself and shows it once. ``takes_news``: it takes events that open no
    incident, too.
    """

    name: str
    label: Promise | str
    address: AddressKind = AddressKind.URL
    default_url: str = ""
    credential: Promise | None = None
    signs: bool = False
    takes_news: bool = True

    JSON: ClassVar = {"Content-Type": "application/json"}

    @property
    def fields(self) -> list[str]:
        """Those of the form that only some kinds have."""
        used = ["recipients"] if self.address is AddressKind.MAIL else ["url"]
        return [*used, *(["credential"] if self.credential else [])]

    @abstractmethod
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post | Mail:
        """The message as this kind takes it. ``at_s``: when this attempt is made, epoch seconds."""


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


def cut(text: str, length: int) -> str:
    """At most so many characters; services reject longer ones."""
    return text if len(text) <= length else text[: length - 1] + "…"
