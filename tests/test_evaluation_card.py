"""The row that an evaluation leaves in a model's card."""

from pathlib import Path

from evaluation_material import evaluated, half_right, recipe, right


def trained(folder: Path) -> Path:
    """What an evaluation takes for a model that this project trained."""
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "training.json").write_text("{}")
    return model


async def test_a_model_card_gets_one_row_for_each_evaluation(tmp_path: Path) -> None:
    model = trained(tmp_path)
    card = model / "README.md"
    card.write_text("# A model\n\n<!-- evaluation -->\nNot evaluated yet.\n<!-- /evaluation -->\n\n## Licence\n\nMIT\n")
    for name, script in (("first", half_right), ("second", right), ("first", half_right)):
        await evaluated(recipe(tmp_path, models=[str(model)], name=name), script)
    text = card.read_text()
    assert text.count("| first |") == text.count("| second |") == 1
    assert "| first | 4 | 1 | 50.0% [15.0, 85.0] | 0.0% | 9 |" in text
    assert "Not evaluated yet" not in text
    assert text.endswith("<!-- /evaluation -->\n\n## Licence\n\nMIT\n")


async def test_a_card_may_be_left_alone_or_unreadable(tmp_path: Path) -> None:
    model = trained(tmp_path)
    card = model / "README.md"
    card.write_bytes(b"\xff\xfe no text")
    assert (await evaluated(recipe(tmp_path, models=[str(model)]), right)).result
    assert card.read_bytes() == b"\xff\xfe no text"
    card.write_text("# Shipped\n")
    await evaluated(recipe(tmp_path, models=[str(model)], card=False))
    assert card.read_text() == "# Shipped\n"


async def test_a_folder_that_training_did_not_write_is_left_alone(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "README.md").write_text("# Mine\n")
    await evaluated(recipe(tmp_path, models=[str(model)]), right)
    assert (model / "README.md").read_text() == "# Mine\n"
