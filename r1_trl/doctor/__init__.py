"""`r1-trl doctor`: what will go wrong with a recipe on a device, before anything loads."""

from r1_trl.doctor.diagnosis import Diagnosis, diagnose, report_at_start
from r1_trl.doctor.finding import Finding

__all__ = ["Diagnosis", "Finding", "diagnose", "report_at_start"]
