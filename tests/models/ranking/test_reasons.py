import numpy as np

from fastrec.models.ranking import Reasons


def test_a_table_has_a_row_for_each_feature():
    numbers = np.array([0.5, -0.25], np.float32)
    table = Reasons(1.25, 1.0, np.array(["year", "age"], object), numbers * 2, numbers).to_frame("pandas")
    assert table.feature.tolist() == ["year", "age"]
    assert table.value.tolist() == [1.0, -0.5]
    assert table.contribution.tolist() == [0.5, -0.25]
