"""Terms that align the modalities of a row."""

from jlrun.objective.terms.cross_modal.base import CrossModal, add_spaces
from jlrun.objective.terms.cross_modal.clip import CLIP
from jlrun.objective.terms.cross_modal.cmc import CMC
from jlrun.objective.terms.cross_modal.masked_modality import MaskedModality
from jlrun.objective.terms.cross_modal.siglip import SigLIP
from jlrun.objective.terms.cross_modal.vicreg_modalities import VICRegModalities

__all__ = [
    "CLIP",
    "CMC",
    "CrossModal",
    "MaskedModality",
    "SigLIP",
    "VICRegModalities",
    "add_spaces",
]
