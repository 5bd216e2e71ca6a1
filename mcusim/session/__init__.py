"""Floor 5: what a person holds: Session, Plan, Run."""

from mcusim.plan.plan import Plan
from mcusim.plan.settings import Settings
from mcusim.session.run import Run
from mcusim.session.session import Session

__all__ = ["Plan", "Run", "Session", "Settings"]
