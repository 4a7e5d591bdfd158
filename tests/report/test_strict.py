import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.report.strict import dumps, number, plain

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is not JSON")


@given(values)
def test_every_value_becomes_json_that_a_strict_parser_reads_back(value):
    assert json.loads(dumps(value), parse_constant=refuse) == plain(value)


@given(st.text(alphabet="</script>!-&\u2028\u2029", min_size=1))
def test_nothing_that_could_end_a_script_element_survives(text):
    assert not set("<>&\u2028\u2029") & set(dumps([text]))


@given(st.floats())
def test_a_float_comes_back_as_it_was(value):
    back = number(plain(value))
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_numpy_numbers_become_plain_ones():
    assert plain({"a": np.float32(0.5), "b": np.arange(2)}) == {"a": 0.5, "b": [0, 1]}


def test_what_is_no_data_is_refused_by_name():
    with pytest.raises(TypeError, match="object"):
        plain([object()])
