import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.inference import text_cache
from ahs_seg.inference.text_cache import TOLERANCE, TextCache, batches_of, check_lengths, fingerprint
from ahs_seg.tuners import Orthogonal
from tests.support.builders import random_backbone
from tests.support.prompts import table


def plainly(backbone, prompts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        rows = [backbone.encode_text(backbone.tokenizer([prompt]))[0] for prompt in prompts]
    return F.normalize(torch.stack(rows), dim=-1)


def test_embeddings_are_those_of_the_text_tower(backbone):
    text = TextCache().encode(backbone, table())
    expected = plainly(backbone, [f"A photo of a {name} in the scene" for name in ("cat", "sofa", "lamp")])
    torch.testing.assert_close(text[:, 0], expected)
    assert not text.requires_grad
    assert not text.is_inference()


def test_mean_over_synonyms_and_templates(backbone):
    settings = {"templates": ("a {}", "the {}.")}
    given = "cat\nsofa, couch"
    a, b = (plainly(backbone, [t.replace("{}", "sofa"), t.replace("{}", "couch")]) for t in settings["templates"])
    cache = TextCache()
    stacked = cache.encode(backbone, table(given, synonyms="mean", ensemble=False, **settings))
    assert stacked.shape == (2, 2, 24)
    torch.testing.assert_close(stacked[1], F.normalize(torch.stack([a.mean(0), b.mean(0)]), dim=-1))
    averaged = cache.encode(backbone, table(given, synonyms="mean", **settings))
    torch.testing.assert_close(averaged[1, 0], F.normalize(torch.cat([a, b]).mean(0), dim=-1))


def test_a_vocabulary_is_encoded_once_and_a_new_name_costs_one_prompt(backbone):
    cache = TextCache()
    first = cache.encode(backbone, table())
    assert torch.equal(cache.encode(backbone, table()), first)
    assert backbone.calls == [3]
    more = cache.encode(backbone, table("cat, door, sofa, lamp"))
    assert backbone.calls == [3, 1]
    assert torch.equal(more[[0, 2, 3]], first)


def test_permuted_names_give_permuted_embeddings(backbone):
    cache = TextCache()
    assert torch.equal(cache.encode(backbone, table()).flip(0), cache.encode(backbone, table("lamp, sofa, cat")))
    assert backbone.calls == [3]


def test_templates_are_part_of_the_key(backbone):
    cache = TextCache()
    first = cache.encode(backbone, table())
    assert not torch.allclose(cache.encode(backbone, table(templates=("a {}",))), first)


def optimiser_step(backbone):
    parameters = list(backbone.parameters())
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    sum(parameter.sum() for parameter in parameters).backward()
    optimiser.step()


def load_other(backbone):
    backbone.load_state_dict(random_backbone(seed=5).state_dict())


def write_past_autograd(backbone):
    backbone.model.text_model.encoder.layers[0].mlp.fc1.weight.data.add_(0.1)


def write_one_number_past_autograd(backbone):
    backbone.model.text_projection.weight.data[0, 0] *= 1.0001


def swap_storage(backbone):
    weight = backbone.model.text_projection.weight
    weight.data = weight.data * 2 - weight.data.flip(0)


def replace_module(backbone):
    backbone.model.text_projection = torch.nn.Linear(16, 24, bias=False)


def add_an_adapter(backbone):
    backbone.adapter = Orthogonal(block=8).apply(random_backbone()).adapter
    torch.nn.init.normal_(backbone.adapter.bank, std=0.2)


@pytest.mark.parametrize(
    "change",
    [
        optimiser_step,
        load_other,
        write_past_autograd,
        write_one_number_past_autograd,
        swap_storage,
        replace_module,
        add_an_adapter,
    ],
)
def test_changed_weights_are_never_stale(backbone, change, tmp_path: Path):
    cache = TextCache(tmp_path)
    before = cache.encode(backbone, table())
    with torch.enable_grad():
        change(backbone)
    after = cache.encode(backbone, table())
    assert backbone.calls == [3, 3]
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, TextCache().encode(backbone, table()))


def test_changed_rotations_are_never_stale(backbone):
    Orthogonal(block=8).apply(backbone)
    cache = TextCache()
    before = cache.encode(backbone, table())
    assert torch.equal(cache.encode(backbone, table()), before)
    assert backbone.calls == [3]
    backbone.adapter.bank.data += 0.1 * torch.randn(backbone.adapter.bank.shape)
    assert not torch.allclose(cache.encode(backbone, table()), before)


def test_a_change_that_is_undone_finds_the_old_entries(backbone):
    cache = TextCache()
    before = cache.encode(backbone, table())
    backbone.model.text_projection.weight.data.neg_()
    cache.encode(backbone, table())
    backbone.model.text_projection.weight.data.neg_()
    assert torch.equal(cache.encode(backbone, table()), before)
    assert backbone.calls == [3, 3]


def test_image_weights_do_not_matter(backbone):
    cache = TextCache()
    cache.encode(backbone, table())
    with torch.no_grad():
        backbone.model.visual_projection.weight.zero_()
    cache.encode(backbone, table())
    assert backbone.calls == [3]


def test_tokenizer_is_part_of_the_key():
    assert fingerprint(random_backbone()) == fingerprint(random_backbone())
    assert fingerprint(random_backbone()) != fingerprint(random_backbone(seed=1))
    other = random_backbone()
    other.tokenizer = random_backbone(context=30).tokenizer
    assert fingerprint(other) != fingerprint(random_backbone())


def test_a_forgotten_backbone_leaves_nothing_to_confuse():
    cache = TextCache()
    for seed in range(5):
        backbone = random_backbone(seed=seed)
        expected = TextCache().encode(backbone, table())
        torch.testing.assert_close(cache.encode(backbone, table()), expected)
        del backbone
    assert len(cache._digests) <= 1


def test_memory_is_bounded(backbone):
    cache = TextCache(memory_bytes=5 * 24 * 4)
    names = ", ".join(f"thing {index}" for index in range(20))
    text = cache.encode(backbone, table(names))
    assert text.shape == (20, 1, 24)
    assert len(cache._memory) == 5
    assert torch.equal(cache.encode(backbone, table("thing 19, thing 18")), text[[19, 18]])
    assert backbone.calls == [20]
    cache.encode(backbone, table("thing 0"))
    assert backbone.calls == [20, 1]


def test_batches(backbone):
    names = ", ".join(f"thing {index}" for index in range(20))
    text = TextCache(batch=8).encode(backbone, table(names))
    assert sum(backbone.calls) == 20
    assert max(backbone.calls) <= 8
    torch.testing.assert_close(text, TextCache().encode(backbone, table(names)))


def test_what_was_in_the_cache_changes_the_last_digits_only(backbone):
    names = [f"{'o' * (index % 4)}x{index}" for index in range(12)]
    text = TextCache().encode(backbone, table(", ".join(names)))
    for seed in range(6):
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
        cache = TextCache()
        for known in (order[: seed + 1], order[seed + 1 : 2 * seed + 3]):
            cache.encode(backbone, table(", ".join(names[index] for index in known)))
        assert (cache.encode(backbone, table(", ".join(names))) - text).abs().max() < TOLERANCE
        again = TextCache().encode(backbone, table(", ".join(names[index] for index in order)))
        assert torch.equal(again, text[order])


def test_too_long_name_is_named(backbone):
    long = "a very long name " * 5
    with pytest.raises(TextTooLongError, match=r"class 'beast'.* at most 40.*shorter"):
        TextCache().encode(backbone, table(f"cat, beast = {long}"))
    assert backbone.calls == []


def test_lengths_are_checked_without_encoding(backbone):
    check_lengths(backbone.tokenizer, table())
    with pytest.raises(TextTooLongError, match=r"class 'beast'.* at most 40.*shorter"):
        check_lengths(backbone.tokenizer, table("cat, beast = " + "a very long name " * 5))
    assert backbone.calls == []


def test_threads_encode_once(backbone):
    cache = TextCache()
    results: list[torch.Tensor] = []
    threads = [threading.Thread(target=lambda: results.append(cache.encode(backbone, table()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backbone.calls == [3]
    assert all(torch.equal(result, results[0]) for result in results)


def test_works_inside_inference_mode_and_autocast(backbone):
    expected = TextCache().encode(backbone, table())
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        text = TextCache().encode(backbone, table())
    assert torch.equal(text, expected)
    assert not text.is_inference()


def test_batches_are_sorted_and_keep_their_ends_when_a_text_is_added():
    texts = [f"text {index}" for index in range(1000)]
    batches = batches_of(reversed(texts), 64)
    assert [text for batch in batches for text in batch] == sorted(texts)
    assert all(16 <= len(batch) <= 64 for batch in batches[:-1])
    assert batches_of(texts, 1000) == [sorted(texts)], "few texts are one batch"
    for added in ("text 0", "text 500b", "zebra"):
        changed = [batch for batch in batches_of([*texts, added], 64) if batch not in batches]
        assert 1 <= len(changed) <= 4


def test_without_a_home_folder_the_cache_is_in_memory(backbone, monkeypatch, caplog):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert TextCache.shared().encode(backbone, table()).shape == (3, 1, 24)
    assert "not kept on disk" in caplog.text


@pytest.mark.parametrize(("adapted", "computed"), [(False, 1), (True, 3)])
def test_weights_are_read_again_only_where_a_cheap_check_cannot_tell(backbone, monkeypatch, adapted, computed):
    read = []

    def counted(one):
        read.append(one)
        return fingerprint(one)

    monkeypatch.setattr(text_cache, "fingerprint", counted)
    if adapted:
        add_an_adapter(backbone)
    cache = TextCache()
    for names in ("cat", "cat", "dog"):
        cache.encode(backbone, table(names))
    assert len(read) == computed
