"""Encoders: one modality's inputs to features."""

from jlrun.models.encoders.audio_cnn import AudioCNN
from jlrun.models.encoders.audio_transformer import AudioTransformer
from jlrun.models.encoders.bag_of_embeddings import BagOfEmbeddings
from jlrun.models.encoders.base import Encoder, Stage, Tokens
from jlrun.models.encoders.cnn import CNN
from jlrun.models.encoders.dilated_resnet import DilatedResNet
from jlrun.models.encoders.ft_transformer import FTTransformer
from jlrun.models.encoders.gru import GRU
from jlrun.models.encoders.huggingface import HuggingFace
from jlrun.models.encoders.lenet import LeNet
from jlrun.models.encoders.log_mel import LogMel
from jlrun.models.encoders.mlp import MLP
from jlrun.models.encoders.periodic_mlp import PeriodicMLP
from jlrun.models.encoders.piecewise_mlp import PiecewiseMLP
from jlrun.models.encoders.point import Point
from jlrun.models.encoders.series_cnn import SeriesCNN
from jlrun.models.encoders.tabular_mlp import TabularMLP
from jlrun.models.encoders.text_cnn import TextCNN
from jlrun.models.encoders.text_transformer import TextTransformer
from jlrun.models.encoders.tfidf import TfIdf
from jlrun.models.encoders.timm_model import Timm
from jlrun.models.encoders.torchvision_model import Torchvision
from jlrun.models.encoders.vit import ViT

__all__ = [
    "CNN",
    "GRU",
    "MLP",
    "AudioCNN",
    "AudioTransformer",
    "BagOfEmbeddings",
    "DilatedResNet",
    "Encoder",
    "FTTransformer",
    "HuggingFace",
    "LeNet",
    "LogMel",
    "PeriodicMLP",
    "PiecewiseMLP",
    "Point",
    "SeriesCNN",
    "Stage",
    "TabularMLP",
    "TextCNN",
    "TextTransformer",
    "TfIdf",
    "Timm",
    "Tokens",
    "Torchvision",
    "ViT",
]
