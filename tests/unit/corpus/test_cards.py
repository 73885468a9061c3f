"""Cards: what is read of them, which datasets they name in which role, and that no input breaks that."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import parser

pytest.importorskip("rapidfuzz", reason="near misses are rapidfuzz's")

from corpus.cards.card import Card, parse
from corpus.cards.catalogue import Dataset, load, own
from corpus.cards.layouts import cards
from corpus.cards.matching import match
from corpus.cards.reading import CardsError, Problem, json_lines, read_text
from corpus.cards.run import match_all, matched_rows
from corpus.cards.samples import Graphs, Sample, graph, sample
from corpus.cards.tuples import Tuple, file_name, tuples, write_folders

CATALOGUE = own()
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "cards.py"


def datasets(text: str, name: str = "somebody/something") -> set[str]:
    return {one.dataset for one in match(parse(name, text), CATALOGUE).matches}


def rejected(text: str) -> dict[str, str]:
    return {one.dataset: one.evidence[0].role for one in match(parse("a/b", text), CATALOGUE).rejected}


class TestMatching:
    def test_a_match_says_where_it_stands_and_which_rule_told(self):
        (found,) = match(parse("a/b", "---\nlicense: mit\n---\n# Net\n\nTrained on CIFAR-10."), CATALOGUE).matches
        (evidence,) = found.evidence
        assert (found.dataset, found.roles) == ("cifar-10", ("trained",))
        assert (evidence.source, evidence.where, evidence.text) == ("text", "line 6", "Trained on CIFAR-10.")
        assert (evidence.rule, evidence.score, evidence.confidence) == ("before it: Trained", 100.0, 0.9)

    @pytest.mark.parametrize(
        ("text", "role"),
        [
            ("It was not trained on ImageNet.", "negated"),
            ("Our set is larger than ImageNet.", "compared"),
            ("You can fine-tune it on ImageNet.", "intended"),
            ("Other models trained on ImageNet do better.", "others"),
            ("The backbone is a ResNet-50 with ImageNet weights.", "base"),
        ],
    )
    def test_a_dataset_that_is_not_the_models_is_told_with_its_role(self, text, role):
        assert not datasets(text)
        assert rejected(text) == {"imagenet": role}

    def test_of_a_collection_and_its_part_the_part_counts(self):
        block = "---\ndatasets: [glue]\nmodel-index:\n- results:\n  - dataset: {type: glue, config: sst2}\n---\n"
        assert datasets(block) == {"sst-2"}
        assert datasets("---\ndatasets: [glue]\n---\n") == {"glue"}

    @pytest.mark.parametrize("text", ["Trained on mini-ImageNet.", "Tested on ImageNet-C.", "Trained on CIFAR-1000."])
    def test_a_name_within_another_name_is_no_match(self, text):
        assert not datasets(text)

    def test_titles_and_typographic_hyphens_are_read(self):
        assert datasets("# BERT fine\N{NON-BREAKING HYPHEN}tuned on the Quora question pair dataset") == {"qqp"}
        text = "I used a BERT fine tuned on SQuAD v2 and then I fine tuned it on QNLI."
        assert datasets(text) == {"qnli"}

    def test_a_near_miss_keeps_its_digits(self):
        assert datasets("Trained on LibriSpeach.") == {"librispeech"}
        assert not datasets("Trained on VoxCeleb3.")

    def test_what_only_the_models_name_says_gives_way_to_the_text(self):
        assert datasets("", "me/bert-finetuned-imdb") == {"imdb-movie-reviews"}
        assert not datasets("It was not trained on IMDb.", "me/bert-finetuned-imdb")

    def test_a_name_of_the_metadata_that_no_dataset_has_is_kept(self):
        assert match(parse("a/b", "---\ndatasets: [me/diary]\n---\n"), CATALOGUE).unknown == ("me/diary",)

    def test_the_labelled_cards_reach_the_figures(self):
        done = subprocess.run(
            [sys.executable, BENCHMARK, "--json"], capture_output=True, text=True, check=True, cwd=BENCHMARK.parents[1],
            env={**os.environ, "PYTHONPATH": str(BENCHMARK.parents[1])},
        )  # fmt: skip
        halves = json.loads(done.stdout)
        assert sum(half["all"]["cards"] for half in halves.values()) >= 150
        for half in halves.values():
            counts = half["all"]
            assert counts["hit"] / (counts["hit"] + counts["false"]) >= 0.95
            assert counts["hit"] / (counts["hit"] + counts["missed"]) >= 0.85


class TestBadInput:
    @pytest.mark.parametrize(
        "text",
        [
            "", "---", "---\n", "---\n---", "---\n- a\n- b\n---\n", "---\n&a [*a]\n---\n",
            "---\ndatasets: &a [*a]\n---\n", "---\nmodel-index: 17\ntags: {a: b}\n---\n",
            "---\n" + "[" * 5000 + "\n---\n", "> " * 3000,
            "<table><tr><td>x",
            "| a |\n|---|\n" + "| b |\n" * 50, "\ud800 trained on IMDb", "[" * 3000 + "](" * 3000, "*" * 20000,
            "---\n? {a: b}\n: c\n---\n", "---\nwhen: 2023-99-99\ndatasets: !!python/object:os.system [x]\n---\n",
        ],
    )  # fmt: skip
    def test_no_text_breaks_the_reader(self, text):
        match(parse("a/b", text), CATALOGUE)

    def test_broken_metadata_is_read_line_by_line_and_told(self):
        card = parse("a/b", "---\ndatasets:\n- imdb\nx: [\n---\n")
        assert [name for _, name in card.datasets] == ["imdb"]
        assert len(card.remarks) == 1
        assert "no YAML" in card.remarks[0]

    def test_encodings(self, tmp_path):
        for data, text in (
            ("é".encode("utf-16"), "é"), (b"\xef\xbb\xbfx", "x"), (b"caf\xe9", "café"), (b"a\r\nb", "a\nb"),
        ):  # fmt: skip
            (tmp_path / "card").write_bytes(data)
            assert read_text(tmp_path / "card").text == text
        (tmp_path / "card").write_bytes(b"a\0b")
        with pytest.raises(CardsError, match="no text"):
            read_text(tmp_path / "card")

    def test_of_a_huge_file_the_first_part_is_read(self, tmp_path):
        with (tmp_path / "README.md").open("wb") as file:
            file.write(b"Trained on IMDb.\n\n")
            file.truncate(2**32)
        (problem,) = cards([tmp_path])
        assert problem.text.endswith("holds no text")
        with gzip.open(tmp_path / "x.md.gz", "wb") as file:
            for _ in range(40):
                file.write(b"a " * 50_000)
        assert len(read_text(tmp_path / "x.md.gz").text) <= 2**18

    def test_a_link_out_of_the_folder_is_not_followed(self, tmp_path):
        (tmp_path / "secret").write_text("Trained on IMDb.")
        home = tmp_path / "cards"
        (home / "blobs").mkdir(parents=True)
        (home / "blobs" / "1").write_text("Trained on CIFAR-10.")
        inside = home / "models--a--b" / "snapshots" / "0"
        inside.mkdir(parents=True)
        (inside / "README.md").symlink_to(home / "blobs" / "1")
        (home / "evil").symlink_to(tmp_path / "secret")
        (home / "gone").symlink_to(home / "nothing")
        (home / "loop").symlink_to(home)
        found = list(cards([home]))
        assert "a/b" in {one.name for one in found if isinstance(one, Card)}
        told = {Path(one.path).name: one.text for one in found if isinstance(one, Problem)}
        assert "leads out" in told["evil"]
        assert set(told) == {"evil", "gone", "loop"}

    def test_a_name_that_is_a_path_leads_nowhere(self, tmp_path):
        names = ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\0b", "x" * 5000, "é" * 300, "a%2Fb", "\ud800"]
        names = [name for name in names if name != "\ud800"]
        kept = {file_name(name) for name in names}
        assert len(kept) == len(names)
        write_folders(tmp_path / "out" / "tuples", [Tuple(name, "d", "t", 1, "", "") for name in names])
        assert len(list((tmp_path / "out" / "tuples" / "t" / "d").iterdir())) == len(names)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]

    def test_lines_that_are_no_json_are_told_and_the_rest_is_read(self, tmp_path):
        (tmp_path / "dump.jsonl").write_text('{"modelId": "a/b", "card": "Trained on IMDb."}\n{\n[]\n{"id": "c"}\n')
        found = list(cards([tmp_path]))
        assert [one.name for one in found if isinstance(one, Card)] == ["a/b"]
        assert len([one for one in found if isinstance(one, Problem)]) == 3
        assert next(json_lines(tmp_path / "dump.jsonl"))[0] == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [("<a", "no XML"), ("<net/>", "its root"), ("<!DOCTYPE x [<!ENTITY a 'b'>]><graph/>", "document type")],
    )
    def test_a_graph_that_is_none(self, tmp_path, text, words):
        (tmp_path / "a.xml").write_text(text)
        with pytest.raises(CardsError, match=words):
            graph(tmp_path / "a.xml")


class TestLayouts:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("a/b/README.md", "a/b"), ("a/b.md", "a/b"), ("a--b.md", "a/b"), ("b", "b"), ("a/b-1.3b", "a/b-1.3b"),
            ("models--a--b/snapshots/12/README.md", "a/b"), ("x/a/b/README.md", "a/b"),
        ],
    )  # fmt: skip
    def test_the_name_is_the_path(self, tmp_path, path, name):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
        (tmp_path / path).with_name("config.json").write_text("{}")
        assert [one.name for one in cards([tmp_path])] == [name]

    def test_of_two_cards_of_a_model_one_counts(self, tmp_path):
        for name in ("a--b.md", "a/b.md"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        card, problem = cards([tmp_path])
        assert card.name == "a/b"
        assert "left out" in problem.text

    def test_mmdetection(self, tmp_path):
        (tmp_path / "metafile.yml").write_text(
            "Collections:\n- Name: C\n  Metadata: {Training Data: [COCO, Objects365]}\n"
            "Models:\n- Name: m\n  In Collection: C\n  Results:\n"
            "  - {Task: Object Detection, Dataset: LVIS v1, Metrics: {box AP: 1.0}}\n- Config: nameless\n"
        )
        (tmp_path / "README.md").write_text("Trained on IMDb.")
        card, problem = cards([tmp_path])
        assert "no Name" in problem.text
        found = {one.dataset: one.roles for one in match(card, CATALOGUE).matches}
        assert found == {"coco": ("trained",), "objects365": ("trained",), "lvis": ("evaluated",)}
        assert card.results[-1].metrics == (("box AP", "1.0"),)


class TestCatalogue:
    def test_dumps_of_papers_with_code(self, tmp_path):
        rows = [
            {"url": "https://paperswithcode.com/dataset/sst", "name": "SST-2", "full_name": None, "description": "D",
             "tasks": [{"task": "Sentiment Analysis", "url": "https://paperswithcode.com/task/sentiment-analysis"}],
             "variants": ["SST", None], "data_loaders": [{"url": "https://huggingface.co/datasets/gpt3mix/sst2"}]},
            {"name": 3}, "x",
        ]  # fmt: skip
        table = [{"task": "NLP", "description": "", "synonyms": [], "datasets": [],
                  "subtasks": [{"task": "Irony", "description": "T",
                                "datasets": [{"dataset": "SST-2"}, {"dataset": "Odd"}]}]}]  # fmt: skip
        with gzip.open(tmp_path / "datasets.json.gz", "wt") as file:
            json.dump(rows, file)
        (tmp_path / "evaluation-tables.json").write_text(json.dumps(table))
        found = load([tmp_path])
        assert found.datasets["sst"].tasks == ("sentiment-analysis", "irony")
        assert found.tasks["irony"].description == "T"
        assert found.tasks_of_datasets()["odd"] == ("irony",)
        # The shipped catalogue's spellings of the same dataset are lent to it.
        assert found.on_hub("glue", "sst2") == "sst"
        assert [one.dataset for one in match(parse("a/b", "Trained on the SST2."), found).matches] == ["sst"]

    def test_folders_of_descriptions(self, tmp_path):
        for folder, text in (
            ("dataset_desc", "IMDb Movie Reviews\nFilms."), ("task_desc", "Sentiment\nMoods."),
            ("dataset_to_task", "sentiment\nirony"),
        ):  # fmt: skip
            (tmp_path / folder).mkdir()
            (tmp_path / folder / ("sentiment" if folder == "task_desc" else "imdb-movie-reviews")).write_text(text)
        found = load([tmp_path])
        assert found.datasets["imdb-movie-reviews"].tasks == ("sentiment", "irony")
        assert found.datasets["imdb-movie-reviews"].description == "Films."
        assert found.tasks["sentiment"].description == "Moods."

    def test_dataset_cards(self, tmp_path):
        (tmp_path / "me" / "diary").mkdir(parents=True)
        card = "---\ntags: ['task_categories:text-classification']\n---\n# Diary\n\nMy days."
        (tmp_path / "me" / "diary" / "README.md").write_text(card)
        found = load([tmp_path])
        assert found.datasets["diary"] == Dataset(
            "diary", "diary", description="My days.", hub=("me/diary",), tasks=("text-classification",)
        )

    def test_a_source_of_nothing_is_told(self, tmp_path):
        for name, text in (("a.json", "{"), ("b.json", "[]"), ("c.json", "[" * 100_000)):
            (tmp_path / name).write_text(text)
            with pytest.raises(CardsError):
                load([tmp_path / name])
        with pytest.raises(CardsError, match="not there"):
            load([tmp_path / "none"])


class TestRun:
    @pytest.fixture
    def home(self, tmp_path):
        for name in ("one", "two", "three"):
            (tmp_path / "cards" / f"{name}.md").parent.mkdir(exist_ok=True)
            (tmp_path / "cards" / f"{name}.md").write_text(f"# {name}\n\nTrained on IMDb.")
        return tmp_path

    def test_a_run_goes_on_where_it_was_ended(self, home):
        def ended():
            for number, card in enumerate(cards([home / "cards"])):
                if number == 2:
                    raise KeyboardInterrupt
                yield card

        with pytest.raises(KeyboardInterrupt):
            match_all(ended(), CATALOGUE, home / "out")
        part = home / "out" / ".matches-part.jsonl"
        part.write_text(part.read_text() + '{"model": "cut')
        first = match_all(cards([home / "cards"]), CATALOGUE, home / "out")
        assert (first.cards, first.before) == (3, 2)
        before = (home / "out" / "matches.jsonl").read_bytes()
        assert match_all(cards([home / "cards"]), CATALOGUE, home / "out").before == 3
        assert (home / "out" / "matches.jsonl").read_bytes() == before
        match_all(cards([home / "cards"]), CATALOGUE, home / "anew")
        assert (home / "anew" / "matches.jsonl").read_bytes() == before

    def test_what_changed_is_matched_again(self, home):
        match_all(cards([home / "cards"]), CATALOGUE, home / "out")
        (home / "cards" / "two.md").write_text("Trained on SQuAD.")
        again = match_all(cards([home / "cards"]), CATALOGUE, home / "out")
        assert again.before == 2
        assert [row["matches"][0]["dataset"] for row in matched_rows(home / "out")][2] == "squad"

    def test_tuples_and_samples(self, home):
        text = "---\npipeline_tag: object-detection\n---\nTrained on COCO. Results on IMDb: 3.0."
        (home / "cards" / "one.md").write_text(text)
        match_all(cards([home / "cards"]), CATALOGUE, home / "out")
        row = next(row for row in matched_rows(home / "out") if row["model"] == "one")
        found = {(one.dataset, one.task, one.task_rule) for one in tuples(row, CATALOGUE)}
        assert ("coco", "object-detection", "stated") in found
        assert ("imdb-movie-reviews", "sentiment-analysis", "dataset") in found
        assert not {one for one in found if one[:2] == ("coco", "image-captioning")}
        (home / "graphs").mkdir()
        (home / "graphs" / "g.xml").write_text("<graph/>")
        (home / "graphs" / "graphs.json").write_text('{"one": "g.xml"}')
        tuple_ = {"model": "one", "dataset": "coco", "task": "object-detection"}
        made = sample(tuple_, CATALOGUE, Graphs([home / "graphs"]))
        assert isinstance(made, Sample)
        assert made.completion == "<graph/>"
        assert CATALOGUE.datasets["coco"].description in made.prompt
        assert CATALOGUE.tasks["object-detection"].description in made.prompt
        assert sample({**tuple_, "model": "two"}, CATALOGUE, Graphs([home / "graphs"])) == "no graph of its model"
        (home / "graphs" / "o").mkdir()
        model = parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
        )
        (home / "graphs" / "o" / "m.onnx").write_bytes(model.SerializeToString())
        made = sample({**tuple_, "model": "o/m"}, CATALOGUE, Graphs([home / "graphs"], version=4))
        assert 'type="Relu"' in made.completion
        (home / "graphs" / "o" / "m.onnx").write_bytes(b"no model")
        with pytest.raises(CardsError, match="no graph"):
            sample({**tuple_, "model": "o/m"}, CATALOGUE, Graphs([home / "graphs"]))
        (home / "graphs" / "graphs.json").write_text('{"one": "../secret"}')
        with pytest.raises(CardsError, match="no file in"):
            Graphs([home / "graphs"])
