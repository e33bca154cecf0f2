"""Soups: one model from the weights of several runs."""

from jlrun.runs.soups.compatibility import refuse_unlike
from jlrun.runs.soups.greedy_soup import RunSoup, soup_of_runs
from jlrun.runs.soups.members import Member, each_run, read_members
from jlrun.runs.soups.writing import check_output, write_soup

__all__ = [
    "Member",
    "RunSoup",
    "check_output",
    "each_run",
    "read_members",
    "refuse_unlike",
    "soup_of_runs",
    "write_soup",
]
