"""Golden vectors: the hash of a value of every type named, frozen.

A vector that changes is a new cache for every user. Never edit one: find out what changed.
"""

# ruff: noqa: E501 - a vector stays on its line

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

# Where these are not installed their vectors are left out.
LIBRARIES = ["pandas", "polars", "pyarrow", "scipy.sparse", "sklearn.linear_model"]
MODULES = [
    "array",
    "collections",
    "datetime",
    "decimal",
    "fractions",
    "functools",
    "numpy",
    "pathlib",
    "re",
    "struct",
    "types",
    "uuid",
    "zoneinfo",
]

VECTORS = {
    "None": "4eb8382714218c8ea6a59591b8e1574f",
    "True": "f4d0ffed4118446e0f1c9c594d4fb1c5",
    "False": "357acdc9229469f1d7d051e93e6a7c78",
    "...": "a6e6cd05686bfb850055b25bdea31842",
    "0": "0cdc25e8f3119dd9671801aef3998c87",
    "1": "656f4d063b12e649b59e5f153eb1c1df",
    "-1": "e91a484bd2ce9dacb24c2d2421877599",
    "2**31 - 1": "1048e3b66ad4ef50f499a5f83b09fe10",
    "2**31": "3f008662f759e96477b8dd977a492b74",
    "-(2**31) - 1": "4bf4c9c7f9778e74ca30a6cd80089057",
    "2**200": "99586794a331a76af856e3360e47a12e",
    "0.0": "eab353e00ff3d251f5006a2ceba10634",
    "-0.0": "ef3dacf3a0f2cb4492d16ea82357f855",
    "1.0": "a3110521195c046d96871aded8c5bd81",
    "float('inf')": "93d6e7558b1739da67e623b10db0e27d",
    "float('nan')": "6a9358875838aee6655c0b5a79aaa0a0",
    "struct.unpack('<d', bytes.fromhex('010000000000f87f'))[0]": "da154d89bd17b9c2b087c3e931e6bb55",
    "1j": "a651211ef2a1d1b701789811dada7905",
    "complex(-0.0, float('nan'))": "b750a6f5e79bc6776136f61b03d2a4fe",
    "''": "600f921479d5ff18f76d202204e5b942",
    "'a'": "ef8c2701f4adf04678351f024b0d3dbb",
    "'é'": "abc9f1b8495b577f2173bc50be5d9192",
    "'\\ud800'": "b8831b16900711b3e13c2a2ebb21dbd0",
    "'\\ud83d\\ude00'": "560caec1bc874be92ad1c14904108adf",
    "'\\U0001f600'": "ef9e57df9fa84858a5a955ba6a220b85",
    "b''": "5ea67bf4f2b4ebadd87884e8e23cafa8",
    "b'a'": "69b0385b6cc654a720112066e547d6de",
    "b'a' * 100_000": "58c193280ce3b96867a0c3483fb045f3",
    "()": "33a279b73a9fd2d9d2bf0e7cbd0d9455",
    "(1,)": "f12216b07de10ae8f0d261bd7b53c8c0",
    "[]": "76f0c6ff2919b428bb6832b7d226380f",
    "[1]": "f143c5615e6486c677450e64062fd098",
    "[True]": "a7b292500cfbaa97310fe0adda3d1e92",
    "[1.0]": "1b5a385e2b7c59e31b30e10a731c133d",
    "['a', b'a', None]": "804ffe316a5deb385841dad6889a0a29",
    "{}": "bc5b3f69edc231460b063479a321d979",
    "{'a': 1, 'b': 2}": "2bba307c58098a23286c9d20aaaaedf8",
    "{'b': 2, 'a': 1}": "50b56f21190e462b1da3973134df5c85",
    "{(1, 'a'): 1, (True, b'a'): 2}": "641a9c32f22f1ecff8754c7d10c179f6",
    "set()": "df1ecfd116aa9c3098d63390dbf25f20",
    "{1, 'a', b'a'}": "7c5b62af42a9a904ed877d0ce40fafe6",
    "frozenset({1, 'a', b'a'})": "a6e0bd2348472b299672f8fc15f31bb5",
    "{frozenset({1}), frozenset({frozenset({2})})}": "904d7f51f34746412b2d1696cf942e90",
    "frozenset({frozenset({frozenset({frozenset({frozenset({1})})})})})": "e1fb196583dd9c7ca5ca725f4821800f",
    "{complex(float('nan'), 1), complex(float('nan'), 1)}": "5581b0c3df8c77c352b6ec20ccfad4be",
    "functools.reduce(lambda inner, _: [inner], range(199), [])": "9150a770b18b7f88b1ec2eb5b79e6134",
    "functools.reduce(lambda inner, _: [inner], range(200), [])": "7b37ec48457d2ccbb598a0469c9b7baa",
    "functools.reduce(lambda inner, _: [inner], range(5000), [])": "ee80372065cd4af69e5c10e7ba6e0f74",
    "range(0, 10, 2)": "3668bb27e16deca6daeaaf42bea991ab",
    "slice(1, None, 2)": "4ea1279d8d7c0d9c3438f41832fa3e47",
    "bytearray(b'a')": "cda56b66ef0b3bf6d8d585f1c8bbdc61",
    "memoryview(b'ab')": "d6f5b7479680011fa882e6c2396808ee",
    "array.array('i', [1, 2])": "9df205eb664baf283476f1461b941e23",
    "int": "a3e7c749ca79b02e03b5567d1875f8c4",
    "list[int]": "26978809b75bc477f7add8c35d903086",
    "collections.OrderedDict(a=1)": "5d0251fb527dffb6553b8b94f1b6c7da",
    "collections.defaultdict(list, a=[1])": "757ada351b2670ea55f84c98121b4831",
    "collections.Counter('aab')": "54b2f6896fce1cf1b1f1f7ebbb83d407",
    "collections.deque([1, 2], maxlen=3)": "0a4c3dc0dd195a9dfad601400a5ce1c0",
    "re.compile('a+', re.I)": "3654465f27d21c9a435dc75106f9d708",
    "datetime.date(2020, 1, 2)": "519a2b2090bb09c50b7307c628903ae3",
    "datetime.time(1, 2, 3, 4, fold=1)": "9f1c1df7800f13a5fd19b0ddbe4014bc",
    "datetime.datetime(2020, 1, 2, 3, 4, 5, 6)": "364da8f89a523c0054c3839d9a15a1ca",
    "datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)": "b1da10aa5e679aa848dbaf73a041675c",
    "datetime.datetime(2020, 1, 2, tzinfo=zoneinfo.ZoneInfo('UTC'))": "82ae2360594b95f1ddae1b7852563fcd",
    "datetime.timedelta(days=1, microseconds=2)": "7367cd44de79a630ae0e2edaf8481946",
    "datetime.timezone(datetime.timedelta(hours=1), 'X')": "be0003f6c0ed28053f88f622a1606034",
    "decimal.Decimal('1.0')": "cfd793166ab9830ee5d34ff8239e53d9",
    "decimal.Decimal('1.00')": "5d13b00e30105b5ae3ef009a52298376",
    "decimal.Decimal('-0')": "60d30bbf30b5dead7577a3a31ff41495",
    "decimal.Decimal('NaN123')": "43b2a57ee72cb0a732a76203ca65852f",
    "fractions.Fraction(1, 3)": "9a6fcd6d9efab3664ea00228ea183e50",
    "uuid.UUID(int=7)": "311a05aa4af101318ea8481152320b41",
    "pathlib.PurePosixPath('a/b')": "834da5f1dfe9dec3ae04641a11b85c91",
    "pathlib.PosixPath('a/b')": "241bef97ddf73b0be5b8dd485e97ada8",
    "pathlib.PureWindowsPath('C:/a')": "2a2310614bd6e5307a48b2415b3f62c9",
    "[pathlib.PosixPath('a'), 1]": "7bf516570eb66b925f5d1ec1016afbb7",
    "{'p': pathlib.PosixPath('a')}": "59c48e4c73b4c95b8092117e37a7eaff",
    "{pathlib.PosixPath('a'), pathlib.PosixPath('b'), 1}": "22b36f93f486de3998673856be1d617f",
    "types.SimpleNamespace(b=1, a=[2])": "a5ce1914ef82186bc25f45670598a0db",
    "ValueError('x', 1)": "d690aea99f4739fcf5d6b71af16efefb",
    "golden.Color.RED": "3aa5a5754edbba572a25c71573ac3a21",
    "golden.Level.LOW": "5ce6e1f3632cadbf97b59f6dd733f8c5",
    "golden.Right.READ | golden.Right.WRITE": "a9c1180df1b14e3a5317dfc191e3ff73",
    "golden.Point(1, 2)": "2b66d09b5980bd5eb3c970d4ecf60c1f",
    "golden.Box([1], golden.Box(None))": "5ead471085b0c0825262c952c3755b72",
    "golden.Frozen(1, 2)": "55911a8c2f475ccfd3cb3b2c6b1727bb",
    "golden.Plain(b=1, a=2)": "3fd1fadf4bd253d6ed01bf88f04eaadb",
    "golden.Slotted(1, 2)": "577906329c030c99a95c45045032a69f",
    "golden.ByHand(('a', 1))": "9b393fd167b242c712202558768124b7",
    "golden.MyInt(3)": "c9d117c9f9a18a9761937fcd24478e79",
    "golden.MyStr('a')": "7525700fb9b8a255e041b798b84001df",
    "golden.MyList([1, golden.MyInt(2)])": "898eeb89efc03d78b198378da10fa388",
    "golden.MyDict(a=1)": "9c853b6a0315048e566648b7305b1fe4",
    "golden.MySet([1, 'a'])": "0eb420a68413e6adfc8bd10653e7eb7b",
    "numpy.arange(6, dtype='<i4').reshape(2, 3)": "4bab631b13f84146cafb906d1e0e2b1d",
    "numpy.arange(6, dtype='>i4').reshape(2, 3)": "cf7d05af068d64979fcf9930fc285917",
    "numpy.array(1.0)": "91714d2c5a6906318503e4c9af620c8d",
    "numpy.zeros((0, 3), '<f4')": "2d6a225a5ea00d5d0a50b452693f4918",
    "numpy.array(['a', 'bc'])": "af122c5dad7745e89cf90a4d049368ed",
    "numpy.array([b'a'])": "82ed0f6d1f7508fba9429f4c3d46e259",
    "numpy.array([True, False])": "e9dfdb8484f58f9194ecc711d0e79fc8",
    "numpy.array(['2020-01-01', 'NaT'], 'M8[D]')": "1ab1c949df21b1f7a00df2f6f3d71213",
    "numpy.array([1, 'a', None], object)": "175697debf3d4e6e673a151ba530f658",
    "numpy.array([(1, 2.0)], [('a', '<i4'), ('b', '<f8')])": "44beb34376bd8561eb5dfc91929e2365",
    "numpy.float64(1.0)": "1370d97980fda8843a510bafbe1135c8",
    "numpy.float32(1.0)": "226930f61c2d1296c1bc0416944632fe",
    "numpy.int64(1)": "9f587eeeff42f7c45def526b6d1d3b23",
    "numpy.bool_(True)": "ff9888ba7647bb5b07753bc6af9edd3f",
    "numpy.str_('a')": "2381f022ce45f04a1dd3de0bd7155e52",
    "numpy.datetime64('2020-01-01')": "8944a368a7991299479895f21b19ec8d",
    "numpy.dtype('<f8')": "c54515fbeacba4664414913b0fca68ac",
    "numpy.ma.masked_array([1, 2], [False, True])": "a0e703be3661d88e6caf54c200e6f583",
    "collections.ChainMap({'a': 1}, {})": "4491ebbe4a83a30a1e2b53d67571e5a4",
    "types.MappingProxyType({'a': 1})": "3b1479c168a56e5624529fa34950d694",
    "AttributeError('x', name='y')": "0d3ba8ca495d57fbc42185dc89575c0c",
    "ImportError('x', name='y')": "d154b3d65fe35b52c4f4a1df69e6264a",
    "OSError(2, 'no', 'a')": "d66ec5764d1492ab61aeb794007eae69",
    "numpy.ma.masked_array([1, 2], [False, True], dtype='<i4')": "92d62fe445ab1219d3e6dee82e071197",
    "numpy.random.RandomState(0)": "954a4033c433fe13ada7934915e509c6",
    "numpy.random.SeedSequence(7)": "2c11ac569a8cd22df09766203c2ea828",
    "golden.ring(3)": "ffe243f7a43499d7ee796436c3b6a865",
    "golden.friends()": "89ec92c32c28d001cb6b51f976e0d2fa",
}


LIBRARY_VECTORS: dict[str, str] = {
    "pandas.DataFrame({'a': [1, 2], 'b': ['x', None]}, index=['p', 'q'])": "fdf0c87e70d4e8fcd76b6298b6b04e4d",
    "pandas.Series([1.5, None], name='s')": "c2df0dd3c760733be2c5a8cb87a84412",
    "pandas.Series(['x', 'y'], dtype='category')": "75f244e927530e98a0b879c8bb726671",
    "pandas.Series([1, None], dtype='Int64')": "f01d115502737d786194063093224570",
    "pandas.MultiIndex.from_product([['a', 'b'], [1, 2]], names=['x', None])": "44a8d1c62162be5645ba48bb06e62c36",
    "pandas.RangeIndex(3)": "20362a2510768f812f1e1348e287194a",
    "pandas.date_range('2020', periods=2, freq='D', tz='UTC')": "f4ff9e2b691cd08bbc84b6ef5390fbb8",
    "pandas.Timestamp('2020-01-01', tz='UTC')": "a027f68b30716a726f7de3fbae04ba9f",
    "pandas.Period('2020', 'M')": "e33afa53d58617b1813cf9f2c230d456",
    "pandas.Interval(0, 1)": "f7657c4c26a251bd87d48b89e713ad3d",
    "pandas.NaT": "a1c871717898413d04d9832ef10ba2b7",
    "pandas.NA": "e208b785a54e416c8c0c381e5db7e969",
    "pandas.offsets.BusinessDay(2)": "9cfdec525f97276a8c8684e55567f2b7",
    "pyarrow.table({'a': [1, None], 'b': ['x', 'y']})": "29cec5bc478f44269e1456048b327543",
    "pyarrow.array(['a', None, 'b']).dictionary_encode()": "fe511e0ddfba67a078523d9389d30c9e",
    "pyarrow.array([[1], None, []])": "f0b39eca00a8bcefa69663033d6c8a37",
    "pyarrow.array([{'a': 1}, None])": "1c522ead499119092f15ab165a8fdd0b",
    "pyarrow.scalar(1)": "ca677c2d90f3c95159c164427962d1c0",
    "pyarrow.timestamp('us', 'UTC')": "c9b2022c19abcdb5a6a317c346e14792",
    "pyarrow.schema([('a', pyarrow.int8())])": "57fd09143487482276d7be9d1a1ea2cf",
    "polars.DataFrame({'a': [1, None], 'b': ['x', 'y']})": "bee322306950dc433727e5b1baa07446",
    "polars.Series('s', [[1], None, []])": "9c389c7677b147a1a307f68d05fd9a72",
    "polars.Series('s', ['a', None], polars.Categorical)": "edfd27a354e151ee8b760f9810815025",
    "polars.Int64": "05ec6107528107c2bdd5351d4f7afea9",
    "scipy.sparse.csr_array(numpy.array([[0.0, 1.0]]))": "26976f7bbc89c49a7bae8b6e003b599d",
    "scipy.sparse.coo_matrix(numpy.array([[0.0, 1.0]]))": "2d865ee1f851e96a1257e6e3fc30e3fe",
    "sklearn.linear_model.LinearRegression(fit_intercept=False)": "abc2ce74b7cfcb7d5d24d0eed5a1e431",
    "libraries.Model(a=1, more=2)": "dfea0ed87787981468f22e9a28a7fe0e",
    "libraries.Defined(1, b=[2])": "9c980f2867333a6ad0c6c02f761d2972",
}


def values() -> dict[str, Any]:
    """Return the values by the expressions that they are made from."""
    names = {name: importlib.import_module(name) for name in MODULES}
    names["golden"] = importlib.import_module("tests.properties.recipes")
    texts = [*VECTORS]
    if all(importlib.util.find_spec(name.partition(".")[0]) for name in LIBRARIES):
        names |= {name.partition(".")[0]: importlib.import_module(name) for name in LIBRARIES}
        names["scipy"] = importlib.import_module("scipy")
        names["sklearn"] = importlib.import_module("sklearn")
        names["libraries"] = importlib.import_module("tests.properties.libraries")
        texts += LIBRARY_VECTORS
    return {text: eval(text, names) for text in texts}


def changed() -> list[str]:
    """Return the expressions whose values have another hash here."""
    from taskgraph.values.weigh import hash_value

    known = VECTORS | LIBRARY_VECTORS
    return [text for text, value in values().items() if hash_value(value) != known[text]]


if __name__ == "__main__":
    sys.exit("\n".join(changed()) or 0)
