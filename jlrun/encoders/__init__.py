"""Encoders: one modality's inputs to features."""

from jlrun.encoders.audio_cnn import AudioCnn
from jlrun.encoders.audio_transformer import AudioTransformer
from jlrun.encoders.bag_of_embeddings import BagOfEmbeddings
from jlrun.encoders.base import Encoder, Tokens
from jlrun.encoders.cnn import Cnn
from jlrun.encoders.dilated_resnet import DilatedResNet
from jlrun.encoders.ft_transformer import FtTransformer
from jlrun.encoders.gru import Gru
from jlrun.encoders.huggingface import HuggingFace
from jlrun.encoders.lenet import LeNet
from jlrun.encoders.log_mel import LogMel
from jlrun.encoders.mlp import Mlp
from jlrun.encoders.point import Point
from jlrun.encoders.series_cnn import SeriesCnn
from jlrun.encoders.tabular_mlp import TabularMlp
from jlrun.encoders.text_cnn import TextCnn
from jlrun.encoders.text_transformer import TextTransformer
from jlrun.encoders.timm_model import Timm
from jlrun.encoders.torchvision_model import Torchvision
from jlrun.encoders.vit import Vit

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
