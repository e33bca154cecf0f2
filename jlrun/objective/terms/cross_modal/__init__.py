"""Terms between the modalities of a row."""

from jlrun.objective.terms.cross_modal.base import CrossModal, add_spaces
from jlrun.objective.terms.cross_modal.clip import Clip
from jlrun.objective.terms.cross_modal.cmc import Cmc
from jlrun.objective.terms.cross_modal.masked_modality import MaskedModality
from jlrun.objective.terms.cross_modal.siglip import SigLip
from jlrun.objective.terms.cross_modal.vicreg import VicRegModalities

__all__ = [
    "Clip",
    "Cmc",
    "CrossModal",
    "MaskedModality",
    "SigLip",
    "VicRegModalities",
    "add_spaces",
]
