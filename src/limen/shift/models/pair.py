"""A CLIP-like pair: an image encoder and a text encoder that share a space."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from limen._core.errors import UsageError
from limen.shift.models import towers
from limen.shift.models.asking import asked, device_of, dtype_of, moved, quiet
from limen.shift.models.pixels import preparing
from limen.shift.models.unit import unit
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.prompts import Template, class_embeddings
from limen.shift.prompts import prompts as phrases


class Pair:
    """An image and a text encoder: `embed` photos, `embed_texts`, or `zero_shot` class names.

    Made of two functions, or by `Pair.open_clip`, `Pair.transformers` (CLIP, SigLIP and their
    likes) and `Pair.onnx`. Each photo passes once, in eval mode without gradients, where and in
    the precision in which the model's weights are.

    Args:
        image: A batch of pixels, tensor or dict of tensors, to rows (rows, width).
        text: A list of texts to rows (texts, width).
        preprocess: A PIL image to pixels; None: only arrays of prepared pixels are taken.
        modules: The networks behind the two functions, to be set to eval mode meanwhile; their
            device and precision are given to the pixels.
        scale: Multiplies cosines into logits, above 0.
        bias: Added to logits.
        workers: Threads that open photos.
        name: What tables call it.

    Raises:
        UsageError: A preprocessing that is none.

    Example:
        >>> words = {"A photo of dark.": [1.0, 0.0], "A photo of light.": [0.0, 1.0]}
        >>> pair = Pair(lambda x: np.stack([1 - x[:, 0], x[:, 0]], 1),
        ...             lambda texts: [words[text] for text in texts])
        >>> pair.zero_shot(["dark", "light"]).logits(np.array([[0.9], [0.2]])).argmax(1).tolist()
        [1, 0]
    """

    def __init__(
        self,
        image: Callable[[Any], Any],
        text: Callable[[list[str]], Any],
        *,
        preprocess: Any = None,
        modules: Sequence[nn.Module] = (),
        scale: float = 1.0,
        bias: float = 0.0,
        workers: int = 1,
        name: str = "pair",
    ):
        self.image, self.text, self.modules = image, text, tuple(modules)
        self.prepare = preparing(preprocess)
        self.scale, self.bias, self.workers, self.name = scale, bias, workers, name

    @classmethod
    def open_clip(
        cls,
        model: nn.Module,
        *,
        tokenizer: Callable[[list[str]], Any],
        preprocess: Any = None,
        workers: int = 1,
        name: str | None = None,
    ) -> "Pair":
        """The pair that `open_clip.create_model_and_transforms` and `get_tokenizer` give.

        Args:
            model: It has `encode_image` and `encode_text`.
            tokenizer: Texts to tokens.
            preprocess: The transform for evaluation (the third thing that open_clip gives).
            workers: Threads that open photos.
            name: What tables call it.

        Returns:
            The pair.

        Raises:
            UsageError: The model lacks one of the two.
        """
        made = towers.open_clip(model, tokenizer)
        return cls._of(made, preprocess=preprocess, workers=workers, name=name)

    @classmethod
    def transformers(
        cls,
        model: nn.Module,
        *,
        processor: Any,
        workers: int = 1,
        name: str | None = None,
    ) -> "Pair":
        """CLIP, SigLIP or another dual encoder of transformers, with its processor.

        Args:
            model: It has `get_image_features` and `get_text_features`.
            processor: It holds `image_processor` and `tokenizer`.
            workers: Threads that open photos.
            name: What tables call it.

        Returns:
            The pair.

        Raises:
            UsageError: Model or processor lacks one of these.
        """
        made = towers.transformers(model, processor)
        return cls._of(made, preprocess=processor, workers=workers, name=name)

    @classmethod
    def onnx(
        cls,
        image: Any,
        text: Any,
        *,
        tokenizer: Callable[[list[str]], Any],
        preprocess: Any = None,
        outputs: tuple[str | None, str | None] = (None, None),
        scale: float = 1.0,
        workers: int = 1,
        name: str = "onnx",
    ) -> "Pair":
        """Two ONNX networks, one for photos and one for texts.

        Args:
            image: A file, its bytes or a session with one input: pixels.
            text: The same of texts; its inputs are named as the tokenizer names its arrays, or it
                has one.
            tokenizer: Texts to an array of tokens, or to a dict of arrays.
            preprocess: A PIL image to pixels.
            outputs: Names of the two outputs that are embeddings; None: the one that is called
                `*embed*`, else the first.
            scale: Multiplies cosines into logits, above 0.
            workers: Threads that open photos.
            name: What tables call it.

        Returns:
            The pair.

        Raises:
            UsageError: It is no ONNX network, or has no such output.
            MissingExtraError: onnxruntime is not installed.
        """
        made = towers.onnx(image, text, tokenizer=tokenizer, outputs=outputs)
        return cls._of(made, preprocess=preprocess, workers=workers, name=name, scale=scale)

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """Unit rows of photos.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: A photo that cannot be read, or an embedding that is not finite or has
                length 0.
        """
        device, dtype = device_of(self.modules), dtype_of(self.modules)
        with quiet(self.modules):
            (rows,) = asked(
                lambda pixels: (self.image(moved(pixels, device, dtype)),),
                images,
                prepare=self.prepare,
                size=batch,
                workers=self.workers,
                what=self.name,
            )
        return unit("image embeddings", rows)

    def embed_texts(
        self, texts: Sequence[str], batch: int = 256
    ) -> Float[np.ndarray, "texts width"]:
        """Unit rows of texts.

        Args:
            texts: One or more.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: No text, or an embedding that is not finite or has length 0.
        """
        if isinstance(texts, str) or not len(texts):
            raise UsageError(f"texts must be a list of one text or more, got {texts!r}")
        with quiet(self.modules):
            parts = [
                unit("text embeddings", self.text(list(texts[start : start + batch])))
                for start in range(0, len(texts), batch)
            ]
        return np.concatenate(parts)

    def zero_shot(
        self,
        labels: Sequence[str],
        *,
        templates: str | Path | Template | Sequence[str | Template] | None = None,
        label_style: str = "full",
    ) -> ZeroShot:
        """The classifier that class names make of this pair.

        Args:
            labels: Names of the classes, in the order of the logits.
            templates: One or several; a path of a file of them; None: "A photo of <label>.".
            label_style: "full" or "first": all synonyms, or the one before the first comma.

        Returns:
            The classifier; the texts are embedded now, once.

        Raises:
            UsageError: No label, or templates that are no good.
        """
        phrased = phrases(labels, templates=templates, label_style=label_style)
        texts = class_embeddings(
            self.embed_texts, labels, templates=templates, label_style=label_style
        )
        record = {"label_style": label_style, "first prompts": [some[0] for some in phrased]}
        return ZeroShot(
            self,
            texts,
            labels=labels,
            scale=self.scale,
            bias=self.bias,
            name=self.name,
            prompts=record,
        )

    @classmethod
    def _of(
        cls,
        made: towers.Towers,
        *,
        preprocess: Any,
        workers: int,
        name: str | None,
        scale: float | None = None,
    ) -> "Pair":
        return cls(
            made.image,
            made.text,
            preprocess=preprocess,
            modules=made.modules,
            scale=made.scale if scale is None else scale,
            bias=made.bias,
            workers=workers,
            name=name or made.name,
        )
