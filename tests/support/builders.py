"""Small random networks for tests."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CLIPConfig, CLIPModel

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.backbones.two_towers import TwoTowerBackbone

START, END = "<|startoftext|>", "<|endoftext|>"


def byte_tokenizer(context: int = 40) -> ClipTokenizer:
    """One token a byte; ids 1 to 256, start 257, end 258."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index + 1 for index, character in enumerate(alphabet)}
    vocabulary |= {START: len(alphabet) + 1, END: len(alphabet) + 2}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return ClipTokenizer(core, context=context, start=vocabulary[START], end=vocabulary[END])


def random_backbone(
    *,
    depth: int = 3,
    width: int = 32,
    text_depth: int = 2,
    dim: int = 24,
    patch: int = 8,
    resolution: int = 64,
    context: int = 40,
    seed: int = 0,
) -> ClipBackbone:
    """A CLIP with random weights, large enough to tell inputs apart."""
    config = CLIPConfig(
        vision_config={
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": depth,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": patch,
        },
        text_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": text_depth,
            "num_attention_heads": 2,
            "vocab_size": 259,
            "bos_token_id": 257,
            "eos_token_id": 258,
            "pad_token_id": 0,
            "max_position_embeddings": context,
        },
        projection_dim=dim,
    )
    model = ClipNetwork(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.5 if parameter.ndim < 2 else 1.0 / parameter.shape[-1] ** 0.5
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(noise + (1.0 if parameter.ndim == 1 and parameter.mean() == 1 else 0.0))
    return ClipBackbone(model, byte_tokenizer(context), resolution=resolution)


def clip_of_transformers(backbone: TwoTowerBackbone) -> CLIPModel:
    """The network of `transformers` with the weights of a CLIP, each of which it takes."""
    network = CLIPModel(backbone.model.config)
    network.load_state_dict(backbone.model.state_dict())
    return network.eval()
