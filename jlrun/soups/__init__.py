"""Soups: one model from the weights of several runs."""

from jlrun.soups.cooking import Cooked, cook
from jlrun.soups.likeness import refuse_unlike
from jlrun.soups.members import Member, each_run, read_members
from jlrun.soups.writing import check_output, write_soup

__all__ = [
    "Cooked",
    "Member",
    "check_output",
    "cook",
    "each_run",
    "read_members",
    "refuse_unlike",
    "write_soup",
]
