"""Encoders: one modality's inputs to features."""

from jlrun.models.encoders.audio_cnn import AudioCnn
from jlrun.models.encoders.audio_transformer import AudioTransformer
from jlrun.models.encoders.bag_of_embeddings import BagOfEmbeddings
from jlrun.models.encoders.base import Encoder, Tokens
from jlrun.models.encoders.cnn import Cnn
from jlrun.models.encoders.dilated_resnet import DilatedResNet
from jlrun.models.encoders.ft_transformer import FtTransformer
from jlrun.models.encoders.gru import Gru
from jlrun.models.encoders.huggingface import HuggingFace
from jlrun.models.encoders.lenet import LeNet
from jlrun.models.encoders.log_mel import LogMel
from jlrun.models.encoders.mlp import Mlp
from jlrun.models.encoders.point import Point
from jlrun.models.encoders.series_cnn import SeriesCnn
from jlrun.models.encoders.tabular_mlp import TabularMlp
from jlrun.models.encoders.text_cnn import TextCnn
from jlrun.models.encoders.text_transformer import TextTransformer
from jlrun.models.encoders.timm_model import Timm
from jlrun.models.encoders.torchvision_model import Torchvision
from jlrun.models.encoders.vit import Vit

__all__ = [
    "AudioCnn",
    "AudioTransformer",
    "BagOfEmbeddings",
    "Cnn",
    "DilatedResNet",
    "Encoder",
    "FtTransformer",
    "Gru",
    "HuggingFace",
    "LeNet",
    "LogMel",
    "Mlp",
    "Point",
    "SeriesCnn",
    "TabularMlp",
    "TextCnn",
    "TextTransformer",
    "Timm",
    "Tokens",
    "Torchvision",
    "Vit",
]
