"""Where does the time go? Forward, dx and dW of each module, and the memory of a step."""

from kerasish.insight.profiling.profile import profile
from kerasish.insight.profiling.report import Profile, ProfileRow

__all__ = ["Profile", "ProfileRow", "profile"]
