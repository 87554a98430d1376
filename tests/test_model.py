"""Model: subclasses, their layers and weights, and the summary."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.layers import Conv2D, Dense, Flatten, Input


class Net(gt.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Dense(4, activation="relu"), Dense(3)]
        self.answer = Dense(2)

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.answer(x)


@pytest.mark.parametrize("how", ["build", "call"])
def test_a_subclass_owns_its_layers(how):
    net = Net(name="net")
    if how == "build":
        net.build((None, 5))
    else:
        net(np.ones((3, 5)))
    assert net.built
    assert net.layers == [*net.blocks, net.answer]
    assert net.count_params() == (5 * 4 + 4) + (4 * 3 + 3) + (3 * 2 + 2)
    assert net.weights[0].path == f"net/{net.blocks[0].name}/kernel"
    assert net.input_shape == (None, 5)
    assert net.output_shape == (None, 2)


def test_building_a_subclass_leaves_no_tape():
    net = Net()
    net.build((None, 5))
    assert all(v.grad is None for v in net.weights)
    net(np.ones((3, 5))).sum().backward()
    assert all(v.grad is not None for v in net.weights)


def test_a_subclass_may_define_build():
    class Scaled(gt.Model):
        def build(self, input_shape):
            self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

        def call(self, x):
            return x * self.scale

    net = Scaled(name="s")
    assert net(np.ones((2, 3))).tolist() == [[1, 1, 1]] * 2
    assert [v.path for v in net.weights] == ["s/scale"]


def test_a_model_without_call_says_so():
    with pytest.raises(TypeError, match="Empty must define call"):
        type("Empty", (gt.Model,), {})()(np.ones((1, 2)))


# Summary


def text_of(model, **kwargs):
    lines: list[str] = []
    model.summary(print_fn=lines.append, **kwargs)
    return "\n".join(lines)


def test_the_summary_lists_layers_shapes_and_parameters():
    model = gt.Sequential(
        [Input((28, 28, 1)), Conv2D(6, 5, name="c"), Flatten(), Dense(10, name="d")], name="net"
    )
    model.get_layer("c").trainable = False
    lines = text_of(model).splitlines()
    assert lines[0] == 'Model: "net"'
    rows = {line.split()[0]: line for line in lines if "(" in line}
    assert rows["c"].split()[:7] == ["c", "(Conv2D)", "(None,", "24,", "24,", "6)", "156"]
    assert rows["d"].split()[:5] == ["d", "(Dense)", "(None,", "10)", "34,570"]
    assert "Total params: 34,726 (135.65 KB)" in lines
    assert "Trainable params: 34,570 (135.04 KB)" in lines
    assert "Non-trainable params: 156 (624.00 B)" in lines
    assert len({len(line) for line in lines if set(line) <= {"-", "="}}) == 1


def test_the_summary_is_printed(capsys):
    gt.Sequential([Input((3,)), Dense(1)], name="net").summary()
    assert capsys.readouterr().out.startswith('Model: "net"\n')


def test_the_summary_of_an_unbuilt_model_says_how_to_build_it():
    text = text_of(gt.Sequential([Dense(3, name="d")]))
    assert "d (Dense)" in text
    assert "0 (unbuilt)" in text
    assert "Total params: 0 (0.00 B)" in text
    assert "build(input_shape)" in text


def test_nested_models_can_be_expanded():
    body = gt.Sequential([Dense(7, name="deep")], name="body")
    model = gt.Sequential([Input((3,)), body, Dense(2)])
    assert "deep" not in text_of(model)
    assert "\n  deep (Dense)" in text_of(model, expand_nested=True)


def test_the_width_and_the_trainable_column():
    model = gt.Sequential([Input((3,)), Dense(2, name="a" * 60, trainable=False)])
    lines = text_of(model, line_length=70, show_trainable=True).splitlines()
    rules = [line for line in lines if set(line) <= {"-", "="}]
    assert {len(line) for line in rules} == {70}
    (row,) = [line for line in lines if line.startswith("aaa")]
    assert "..." in row
    assert row.endswith("no")


def test_the_summary_of_a_subclass():
    net = Net()
    assert "0 (unbuilt)" in text_of(net)
    net(np.ones((1, 5)))
    assert "(None, 4)" in text_of(net)
    assert "Total params: 47 (188.00 B)" in text_of(net)
