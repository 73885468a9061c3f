"""Dummy inputs: forms by the names of arguments, what an error says is missing, rules that make them again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from corpus.inputs import NoInputs, Sizes, make, search  # noqa: E402 - it is there only where torch is

SIZES = Sizes(batch_size=2, max_seq_length=6, max_audio_seq_length=50, height=8, width=8)


def net(forward, **config):
    """A module with this forward, and a configuration of these numbers."""
    model = type("Net", (torch.nn.Module,), {"forward": staticmethod(forward)})()
    model.config = SimpleNamespace(**config)
    return model


def test_text_is_fixed_and_within_the_vocabulary():
    inputs = make({"input_ids": "text", "attention_mask": "mask"}, SIZES, SimpleNamespace(vocab_size=50))
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape == (2, 6)
    assert 0 <= inputs["input_ids"].min() <= inputs["input_ids"].max() < 50
    assert torch.equal(
        inputs["input_ids"], make({"input_ids": "text"}, SIZES, SimpleNamespace(vocab_size=50))["input_ids"]
    )


def test_a_mask_is_given_where_one_is_taken():
    found = search(net(lambda input_ids, attention_mask=None: input_ids * attention_mask), SIZES)
    assert found.rule == {"input_ids": "text", "attention_mask": "mask"}
    assert found.attempts == 1


def test_what_an_error_names_is_added():
    def forward(input_ids=None, pixel_values=None):
        if pixel_values is None:
            raise ValueError("You have to specify pixel_values")
        return pixel_values[:, :3]

    found = search(net(forward, image_size=16), SIZES)
    assert found.rule == {"input_ids": "text", "pixel_values": "image"}
    assert make(found.rule, SIZES, SimpleNamespace(image_size=16))["pixel_values"].shape == (2, 3, 16, 16)


def test_what_the_line_that_failed_names_is_added():
    def forward(input_ids, decoder_input_ids=None):
        return decoder_input_ids.shape

    assert search(net(forward), SIZES).rule == {"input_ids": "text", "decoder_input_ids": "text"}


def test_other_forms_of_the_main_input_are_tried():
    def forward(input_values):
        batch, channels, samples = input_values.shape
        return torch.nn.functional.conv1d(input_values, torch.ones(1, 1, 3)), batch, channels, samples

    found = search(net(forward), SIZES)
    assert found.rule == {"input_values": "channel of samples"}
    assert found.attempts == 2
    assert make(found.rule, SIZES)["input_values"].shape == (2, 1, 50)


def test_the_main_input_is_what_the_model_says():
    def forward(input_ids=None, input_features=None):
        return input_features.sum(dim=2)

    model = net(forward, num_mel_bins=5, max_source_positions=10)
    model.main_input_name = "input_features"
    assert search(model, SIZES).rule == {"input_features": "spectrogram"}


def test_a_model_that_takes_none_of_them():
    def forward(input_ids):
        raise RuntimeError("not\nso")

    with pytest.raises(NoInputs, match="RuntimeError: not so"):
        search(net(forward), SIZES)
    with pytest.raises(NoInputs, match="no argument that is known by name"):
        search(net(lambda: None), SIZES)
