"""Dummy inputs of a model: by rule from its forward signature and configuration, then by adjusting after an error.

A rule names what each argument is: ``{"input_ids": "text", "attention_mask": "mask"}``. It is enough to make the same
inputs again, at other sizes too, so that only `search` runs the model and a script that knows the rule does not.
"""

from __future__ import annotations

import inspect
import re
import traceback
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch

__all__ = ["FORMS", "Found", "NoInputs", "Sizes", "make", "search"]

TEXT = (
    "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. "
    "How vexingly quick daft zebras jump! "
)
"""What inputs of language say, again and again."""

_RESERVED = 16
"""Ids at both ends of a small vocabulary that a text keeps away from: they are special."""

_LIMIT = 8
"""Arguments that may be added to one attempt."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large inputs are; the names are those of the standard arguments."""

    batch_size: int = 1
    max_seq_length: int = 128
    max_audio_seq_length: int = 25600
    num_channels: int = 3
    height: int = 224
    width: int = 224


@dataclass(frozen=True, slots=True)
class Found:
    """A rule whose inputs a model takes, and how many calls it took to find it."""

    rule: Mapping[str, str]
    attempts: int


class NoInputs(Exception):
    """No rule made inputs that the model takes; what it said to the first of them, in a line."""


class _Context:
    """What a form may ask: sizes, and numbers of the configuration wherever in it they stand."""

    def __init__(self, sizes: Sizes, config: Any) -> None:
        self.sizes = sizes
        self._configs = list(_nested(config))

    def number(self, *names: str, default: int) -> int:
        for name in names:
            for config in self._configs:
                value = getattr(config, name, None)
                if isinstance(value, (list, tuple)) and value:
                    value = value[0]
                if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                    return value
        return default

    @property
    def length(self) -> int:
        return min(self.sizes.max_seq_length, self.number("max_position_embeddings", "n_positions", default=1 << 30))

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, rows, columns. A configuration that names a size wants it."""
        side = self.number("image_size", "img_size", default=0)
        rows, columns = (side, side) if side else (self.sizes.height, self.sizes.width)
        return self.number("num_channels", "in_channels", "in_chans", default=self.sizes.num_channels), rows, columns

    @property
    def mel(self) -> tuple[int, int]:
        """Bands and frames of a spectrogram."""
        bands = self.number(
            "num_mel_bins",
            "feature_projection_input_dim",
            "feature_size",
            "input_feat_per_channel",
            "n_mels",
            default=80,
        )
        frames = self.number("max_source_positions", default=0) * 2 or self.number("max_length", default=0)
        return bands, frames or self.number("nb_max_frames", default=self.sizes.max_audio_seq_length // 256)


def _text(c: _Context) -> torch.Tensor:
    import torch

    vocabulary = c.number("vocab_size", default=1024)
    letters = TEXT.encode("ascii") * (c.length // len(TEXT) + 1)
    usable = max(1, vocabulary - 2 * _RESERVED)
    ids = [_RESERVED + letter % usable if usable > 1 else 0 for letter in letters[: c.length]]
    return torch.tensor([ids] * c.sizes.batch_size, dtype=torch.long)


def _random(*shape: int) -> torch.Tensor:
    import torch

    return torch.rand(*shape)


def _whole(value: int, *shape: int) -> torch.Tensor:
    import torch

    return torch.full(shape, value, dtype=torch.long)


def _audio(c: _Context) -> int:
    return c.sizes.max_audio_seq_length


def _frames(c: _Context) -> int:
    return c.number("num_frames", "video_length", "frames_per_clip", default=4)


FORMS: Mapping[str, Callable[[_Context], Any]] = MappingProxyType({
    "text": _text,
    "mask": lambda c: _whole(1, c.sizes.batch_size, c.length),
    "zeros": lambda c: _whole(0, c.sizes.batch_size, c.length),
    "one token": lambda c: _whole(_RESERVED, c.sizes.batch_size, 1),
    "boxes": lambda c: _whole(0, c.sizes.batch_size, c.length, 4),
    "image": lambda c: _random(c.sizes.batch_size, *c.image),
    "square of 64": lambda c: _random(c.sizes.batch_size, c.image[0], 64, 64),
    "square of 224": lambda c: _random(c.sizes.batch_size, c.image[0], 224, 224),
    "grey image": lambda c: _random(c.sizes.batch_size, 1, *c.image[1:]),
    "crops": lambda c: _random(c.sizes.batch_size, 1, *c.image),
    "two images": lambda c: _random(c.sizes.batch_size, 2, *c.image),
    "video": lambda c: _random(c.sizes.batch_size, _frames(c), *c.image),
    "image mask": lambda c: _whole(1, c.sizes.batch_size, *c.image[1:]),
    "samples": lambda c: _random(c.sizes.batch_size, _audio(c)),
    "channel of samples": lambda c: _random(c.sizes.batch_size, 1, _audio(c)),
    "spectrogram": lambda c: _random(c.sizes.batch_size, *c.mel),
    "frames of a spectrogram": lambda c: _random(c.sizes.batch_size, *reversed(c.mel)),
    "spectrogram image": lambda c: _random(c.sizes.batch_size, 1, *reversed(c.mel)),
    "embeddings": lambda c: _random(c.sizes.batch_size, c.length, c.number("hidden_size", "d_model", default=32)),
    "series": lambda c: _random(c.sizes.batch_size, c.number("context_length", default=32)),
    "channels of a series": lambda c: _random(
        c.sizes.batch_size, c.number("context_length", default=32), c.number("num_input_channels", default=1)
    ),
    "past": lambda c: _random(c.sizes.batch_size, c.number("context_length", default=32) + 7),
    "time features": lambda c: _random(
        c.sizes.batch_size, c.number("context_length", default=32) + 7, c.number("num_time_features", default=1)
    ),
    "timestep": lambda c: _whole(1, c.sizes.batch_size),
    "actions": lambda c: _random(c.sizes.batch_size, c.length, c.number("act_dim", "action_dim", default=4)),
    "states": lambda c: _random(c.sizes.batch_size, c.length, c.number("state_dim", default=17)),
    "rewards": lambda c: _random(c.sizes.batch_size, c.length, 1),
})  # fmt: skip
"""How a tensor is made, by the name that rules give it: sizes from the arguments, the rest from the configuration."""

_ANY_IMAGE = ("image", "video", "square of 64", "square of 224", "grey image", "crops", "two images")
_SPECTROGRAMS = ("spectrogram", "frames of a spectrogram", "spectrogram image")
_SAMPLES = ("samples", "channel of samples", "frames of a spectrogram", "spectrogram", "spectrogram image")
_FORMS_OF: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"decoder_input_ids$", ("text", "one token")),
    (r"input_ids$|^ids$|^tokens$|input_tokens$|question_ids", ("text",)),
    (r"pixel_mask$", ("image mask",)),
    (r"pixel_values_videos|^video", ("video",)),
    (r"bool_masked_pos|mask_pos", ()),
    (r"attention_mask$|_mask$|observed", ("mask",)),
    (r"token_type|position_ids|segment|lang|_ids$", ("zeros",)),
    (r"bbox|boxes", ("boxes",)),
    (r"pixel|image|^x$", _ANY_IMAGE),
    (r"input_features|audio_features|fbank|spectrogram|mel", _SPECTROGRAMS),
    (r"input_values|audio|waveform|speech|raw", _SAMPLES),
    (r"time_features", ("time features",)),
    (r"past_values|future_values|series|past", ("series", "past", "channels of a series")),
    (r"actions", ("actions",)), (r"states", ("states",)), (r"rewards|returns", ("rewards",)),
    (r"timestep", ("zeros", "timestep")),
    (r"embeds$|hidden_states$|features?$|inputs?$", ("embeddings", "text", "image")),
)  # fmt: skip
"""What an argument may be, by what its name holds, the likeliest first."""


def make(rule: Mapping[str, str], sizes: Sizes, config: Any = None) -> dict[str, torch.Tensor]:
    """The inputs that a rule describes: from torch's generator as it stands, so seed it before.

    Raises:
        KeyError: a rule of a form that there is not.
    """
    context = _Context(sizes, config)
    return {name: FORMS[form](context) for name, form in rule.items()}


def search(model: Any, sizes: Sizes, config: Any = None) -> Found:
    """A rule of inputs that a model takes: rules are tried, and what an error says is missing is added.

    Args:
        model: a module, in evaluation mode.
        sizes: of what is made.
        config: where forms look for sizes of the model's own; by default ``model.config``.

    Raises:
        NoInputs: none of the rules fits.
    """
    config = config if config is not None else getattr(model, "config", None)
    names = _names(model)
    attempts, said, first = 0, "its forward takes no argument that is known by name", None
    for start in _starts(model, names, config):
        rule = dict(start)
        for _ in range(_LIMIT):
            attempts += 1
            problem = _problem(model, rule, sizes, config)
            if problem is None:
                return Found(MappingProxyType(rule), attempts)
            if first is None:
                first = problem
                said = f"{type(problem).__name__}: {' '.join(str(problem).split())[:160]}"
            missing = _missing(problem, names, rule)
            if missing is None:
                break
            rule |= missing
    raise NoInputs(said) from first


def _problem(model: Any, rule: Mapping[str, str], sizes: Sizes, config: Any) -> Exception | None:
    import torch

    try:
        with torch.no_grad():
            model(**make(rule, sizes, config))
    except Exception as problem:  # noqa: BLE001 - whatever a model says of inputs that do not fit
        return problem
    return None


def _starts(model: Any, names: Mapping[str, bool], config: Any) -> Iterator[dict[str, str]]:
    """First attempts: the main input in each of its forms, with what has no default."""
    required = [name for name, needed in names.items() if needed]
    main = getattr(model, "main_input_name", None)
    first = main if main in names else next(iter(required), next(iter(names), None))
    if first is None:
        return
    rest = [name for name in required if name != first]
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in names and first != "decoder_input_ids":
        rest.append("decoder_input_ids")
    for form in _forms(first):
        rule = {first: form} | {name: forms[0] for name in rest if (forms := _forms(name))}
        if form == "text" and "attention_mask" in names and "attention_mask" not in rule:
            yield rule | {"attention_mask": "mask"}
        yield rule


def _missing(problem: Exception, names: Mapping[str, bool], rule: Mapping[str, str]) -> dict[str, str] | None:
    """The argument that an error is about and that was not given: named by its text, else by the line that failed."""
    frames = traceback.extract_tb(problem.__traceback__)
    for text in (str(problem), *(frame.line or "" for frame in reversed(frames[2:]))):
        for name in re.findall(r"\w+", text):
            if name in names and name not in rule and (forms := _forms(name)):
                return {name: forms[0]}
    return None


def _names(model: Any) -> dict[str, bool]:
    """The arguments of a forward, and whether each must be given."""
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    parameters = inspect.signature(model.forward).parameters.values()
    return {p.name: p.default is inspect.Parameter.empty for p in parameters if p.kind in kinds}


def _forms(name: str) -> tuple[str, ...]:
    return next((forms for pattern, forms in _FORMS_OF if re.search(pattern, name)), ())


def _nested(config: Any) -> Iterator[Any]:
    """A configuration, then those in it, breadth first."""
    waiting = [config] if config is not None else []
    while waiting:
        current = waiting.pop(0)
        yield current
        values = vars(current).values() if hasattr(current, "__dict__") else ()
        waiting.extend(value for value in values if hasattr(value, "to_dict"))
