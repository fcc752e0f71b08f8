"""Policy profiles: which categories are replaced, and what is done about content that is known and cannot be read.

A profile never opens what is closed: encrypted, damaged and unknown content is an obstacle under each of them. They
differ in what is replaced, and in harmless kinds of content (pixels of a picture, say) that nothing here can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["secret", "personal"]
ProfileName = Literal["strict", "support", "secrets-only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to treat an upload."""

    name: ProfileName
    description: str
    categories: frozenset[Category]
    """What is replaced."""
    unseen_passes: bool
    """Whether known content that cannot be read is passed on and noted; else it is an obstacle."""


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="strict",
            description="Secrets and personal data are replaced; whatever cannot be read is held back.",
            categories=frozenset(("secret", "personal")),
            unseen_passes=False,
        ),
        Profile(
            name="support",
            description="Secrets and personal data are replaced; pictures and the like are passed on and noted.",
            categories=frozenset(("secret", "personal")),
            unseen_passes=True,
        ),
        Profile(
            name="secrets-only",
            description="Secrets are replaced, personal data stays; pictures and the like are passed on and noted.",
            categories=frozenset(("secret",)),
            unseen_passes=True,
        ),
    )
}
SUPPORT = PROFILES["support"]


def find_profile(name: str) -> Profile:
    """Give the profile of that name.

    Raises:
        ValueError: there is none; says which there are.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}") from None
