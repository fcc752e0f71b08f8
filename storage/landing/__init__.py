"""The landing zone: where bytes arrive, sealed as they are written, in any order, and survive whatever happens.

One append-only log an upload. Nothing in it is ever written over: a torn write can only hurt what was not yet
acknowledged.
"""

from storage.landing.follower import LandingFollower
from storage.landing.reader import LandingReader
from storage.landing.writer import LandingWriter
from storage.landing.zone import LandingZone

__all__ = ["LandingFollower", "LandingReader", "LandingWriter", "LandingZone"]
