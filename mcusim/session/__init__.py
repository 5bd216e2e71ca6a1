"""Floor 6: what a person holds: Session, Plan, Run."""

from mcusim.planning.plan import Plan
from mcusim.planning.settings import Settings
from mcusim.session.run import Run
from mcusim.session.session import Session

__all__ = ["Plan", "Run", "Session", "Settings"]
