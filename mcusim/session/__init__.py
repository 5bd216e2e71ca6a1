"""Floor 5: what a person holds: Session, Plan, Run."""

from mcusim.session.plan import Plan
from mcusim.session.run import Run
from mcusim.session.session import Session
from mcusim.session.settings import Settings

__all__ = ["Plan", "Run", "Session", "Settings"]
