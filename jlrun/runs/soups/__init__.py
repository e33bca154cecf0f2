"""Soups: one model from the weights of several runs."""

from jlrun.runs.soups.greedy_soup import RunSoup, soup_of_runs
from jlrun.runs.soups.members import Member, check_compatible, each_run, read_members
from jlrun.runs.soups.soup_run import check_output, write_soup

__all__ = [
    "Member",
    "RunSoup",
    "check_compatible",
    "check_output",
    "each_run",
    "read_members",
    "soup_of_runs",
    "write_soup",
]
