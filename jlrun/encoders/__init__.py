"""Encoders: one modality's inputs to features."""

from jlrun.encoders.audio_cnn import AudioCnn
from jlrun.encoders.bag_of_embeddings import BagOfEmbeddings
from jlrun.encoders.base import Encoder, Tokens
from jlrun.encoders.cnn import Cnn
from jlrun.encoders.dilated_resnet import DilatedResNet
from jlrun.encoders.gru import Gru
from jlrun.encoders.lenet import LeNet
from jlrun.encoders.log_mel import LogMel
from jlrun.encoders.mlp import Mlp
from jlrun.encoders.point import Point
from jlrun.encoders.tabular_mlp import TabularMlp
from jlrun.encoders.torchvision_model import Torchvision
from jlrun.encoders.vit import Vit

__all__ = [
    "AudioCnn",
    "BagOfEmbeddings",
    "Cnn",
    "DilatedResNet",
    "Encoder",
    "Gru",
    "LeNet",
    "LogMel",
    "Mlp",
    "Point",
    "TabularMlp",
    "Tokens",
    "Torchvision",
    "Vit",
]
