"""What was in that step? A step in a file, and what is seen when it runs again."""

from kerasish.insight.replaying.replay import Replay, replay

__all__ = ["Replay", "replay"]
