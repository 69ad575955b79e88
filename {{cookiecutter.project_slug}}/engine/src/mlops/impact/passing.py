"""What follows of a challenger on which guardrails alone decide: shadow and canary."""

from datetime import date, datetime, timedelta

from ..rollout.declaration import Experiment, lasting, utc


def verdict(about: Experiment, met: int, at: date) -> tuple[str, str]:
    """Return what follows at the end of a day (UTC), and why; `met` units met the challenger.

    Servers stop it by themselves, so what is left to say is whether its time is over.
    """
    lasts = about.steps[about.step].lasts
    over = utc(about.since) + (lasting(lasts) if lasts else timedelta())
    known = datetime(at.year, at.month, at.day) + timedelta(days=1)
    if not met:
        return "going on", f"nobody met the challenger until {at}: the step is held"
    if about.step + 1 < len(about.steps):
        return "going on", f"step {about.step + 1} of {len(about.steps)}: no guardrail stopped it"
    if known < over:
        return "going on", f"the last step lasts until {over:%Y-%m-%d %H:%M} UTC"
    return "passed", f"its last step is over with {met:,} units, and no guardrail stopped it"
