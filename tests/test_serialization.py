"""The closed list of classes, and plain data in between."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradtape.config import serialization
from gradtape.config.serialization import custom_object_scope, deserialize, register, serialize


@register("tests.serialization")
class Point:
    def __init__(self, x=0, y=0):
        self.x, self.y = x, y

    def get_config(self):
        return {"x": self.x, "y": self.y}


@register("tests.serialization", name="twice")
def double(x):
    return 2 * x


def test_objects_become_plain_data_and_come_back():
    config = serialize(Point(np.int64(3), (1.5, np.float32(2))))
    assert config == {
        "class_name": "tests.serialization>Point",
        "config": {"x": 3, "y": [1.5, 2.0]},
    }
    again = deserialize(json.loads(json.dumps(config)))
    assert (type(again), again.x, again.y) == (Point, 3, [1.5, 2.0])


def test_functions_are_their_names():
    assert serialize(double) == "tests.serialization>twice"
    assert serialization.lookup("tests.serialization>twice") is double


def test_a_package_need_not_be_named_where_it_is_known():
    point = deserialize({"class_name": "Point", "config": {}}, "point", "tests.serialization")
    assert type(point) is Point


def test_nothing_is_imported_by_its_path():
    with pytest.raises(ValueError, match=r"Unknown object 'os>system'"):
        deserialize({"class_name": "os>system", "config": {}})
    with pytest.raises(ValueError, match=r"Unknown object 'collections.Counter'"):
        deserialize({"class_name": "collections.Counter", "config": {}})


def test_a_function_is_not_made_from_a_configuration():
    with pytest.raises(ValueError, match="is not the configuration of a thing"):
        deserialize({"class_name": "tests.serialization>twice", "config": {}}, "thing")


@pytest.mark.parametrize("config", [None, 3, "Point", [], {}, {"class_name": None}])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(ValueError, match="must look like"):
        deserialize(config)


def test_wrong_arguments_name_the_class():
    config = {"class_name": "tests.serialization>Point", "config": {"z": 1}}
    with pytest.raises(ValueError, match=r"Point cannot be made from its configuration.*z"):
        deserialize(config)


def test_a_name_belongs_to_one_definition():
    with pytest.raises(ValueError, match=r"'tests.serialization>Point' is already registered"):
        register("tests.serialization", name="Point")(dict)
    assert register("tests.serialization")(Point) is Point


def test_the_default_package_is_custom():
    @register()
    class Own:
        def get_config(self):
            return {}

    assert serialize(Own())["class_name"] == "Custom>Own"
    assert type(deserialize({"class_name": "Own"})) is Own


def test_custom_objects_are_known_inside_their_scope_only():
    class Local(Point):
        pass

    config = serialize(Local(1, 2))
    assert config["class_name"] == "Local"
    with custom_object_scope({"Local": Local}), custom_object_scope(None):
        assert type(deserialize(config)) is Local
    with pytest.raises(ValueError, match="custom_objects"):
        deserialize(config)


@pytest.mark.parametrize("value", [object(), lambda x: x, {1, 2}, b"bytes"])
def test_what_cannot_be_written_down_is_refused(value):
    with pytest.raises(TypeError, match="cannot be saved"):
        serialize(value)
