"""What a sentence says of a dataset that it names: tables of cues, by role and language.

A role is what the model of the card has to do with the dataset: ``trained`` and ``evaluated`` make a match;
``negated``, ``compared``, ``intended``, ``base`` (what the weights that it began with had been trained on) and
``others`` (another model's) do not.
"""

from __future__ import annotations

import re

__all__ = [
    "AFTER", "BASE_FOR_SURE", "BASE_HEAD", "BASE_NOUN", "BASE_WORD", "BEFORE",
    "BOUNDARY", "DATA_WORD", "EVALUATED", "FINE_TUNING", "HEADINGS", "LIST_GAP",
    "METRIC", "OF_OTHERS", "OWN_PRETRAINING", "PREPOSITION", "PRETRAINED", "TABLE_HEAD", "TRAINED", "TRAINED_BEHIND",
    "TRAINING_HEAD", "UNFINISHED",
]  # fmt: skip


def _cue(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE)


TRAINED = _cue(
    r"\btrain(?:ed|ing|s)?\b", r"\bre-?train(?:ed|ing)\b", r"\bfine-?\s?tun(?:ed|ing|es?)\b", r"\btuned\b",
    r"\blearn(?:ed|t|s)\b",
    r"\b(?:has|have) seen\b", r"\badapted\b", r"\bdistill?ed\b", r"\bcomes? from\b", r"\bcame from\b",
    r"\bwe (?:used?|took)\b", r"\bsupervised\b", r"\bdata(?:\s?sets?)?\s*(?:is|are|was|were)?\s*:", r"\bcorpus\s*:",
    r"\btraining (?:set|data|corpus) (?:is|was|are)\b", r"\bdata (?:is|are|was|were)\b",
    # French, German, Spanish, Portuguese, Italian, Dutch
    r"\bentra[iî]n[ée]+e?s?\b", r"\baffin[ée]+e?s?\b", r"\bajust[ée]s?e?s?\b", r"\bapprentissage\b",
    r"\btrainiert\b", r"\bnachtrainiert\b",
    r"\bfeinabgestimmt\b", r"\bangepasst\b", r"\bentren(?:ado|ada|ó|ados|amiento)\b", r"\bajustad[oa]s?\b",
    r"\btreinad[oa]s?\b", r"\btreinamento\b",
    r"\baddestrat[oaie]\b", r"\bgetraind\b", r"\bобучен\w*", r"\bдообучен\w*",
    r"训练", r"微调", r"訓練", r"微調", r"学習", r"学习", r"ファインチューニング", r"학습", r"파인튜닝",
)  # fmt: skip

PRETRAINED = _cue(
    r"\bpre-?\s?train(?:ed|ing|s)?\b", r"\bpré-?entra[iî]n\w+", r"\bvortrainiert\w*", r"\bpreentrenad[oa]s?\b",
    r"预训练", r"事前学習",
    r"\binitiali[sz]ed\b",
)

FINE_TUNING = _cue(
    r"\bfine-?\s?tun", r"\btrained (?:it |them )?(?:further|on top)", r"\bfurther train", r"\baffin[ée]",
    r"\bfinetun",
)

EVALUATED = _cue(
    r"\bevaluat\w+", r"\btest(?:ed|s)?\b", r"\bmeasured?\b", r"\breport(?:ed|s)?\b", r"\bachiev\w+",
    r"\breach\w*\b", r"\bobtain\w*\b", r"\bscor\w+",
    r"\bbenchmark\w*", r"\bresults?\b", r"\bpasses\b", r"\bzero-shot\b", r"\bgets?\b", r"\bperform\w*", r"\bvalidat\w+",
    r"\bévalué\w*", r"\bevaluiert\w*", r"\bgetestet\w*", r"\bevaluad[oa]s?\b", r"\bavaliad[oa]s?\b",
    r"\bvalutat[oa]\b", r"评估", r"測試", r"测试", r"評価", r"평가",
)

METRIC = _cue(
    r"\bacc(?:uracy)?\b", r"\btop-?[15]\b", r"\bw\.?e\.?r\b", r"\bcer\b", r"\bbleu\b", r"\brouge\b", r"\bf1\b",
    r"\bem\b", r"\bm?ap\b", r"\bm?iou\b",
    r"\bauc\b", r"\brmse\b", r"\bmae\b", r"\bperplexity\b", r"\bppl\b", r"\bfid\b", r"\bspearman\b",
    r"\bpearson\b", r"\bmatthews\b", r"\bpass@",
    r"\bmrr\b", r"\bndcg\b", r"\bmean absolute error\b", r"\berrors?\b", r"\bright\b", r"\bcorrect\b",
    r"\bprécision\b", r"\bgenauigkeit\b", r"\beer\b", r"\brecall\b",
)

PREPOSITION = re.compile(
    r"(?:\b(?:on|with|from|using|over|of|for|in|sur|avec|auf|mit|von|aus|en|con|su|no|na|em|com|op|на)|[在用])"
    r"(?:\s+(?:the|a|an|le|la|les|der|die|das|dem|den|el|los|il|o|de|all|full|whole|standard|original|public"
    r"|open|clean)\b)*"
    r"(?:\s+(?:\w+\s+){0,3}(?:part|split|subset|set|train|test|data|portion|half|partie|teil|parte|daten"
    r"|version|labels|task)\s+(?:of|from|de|von|du|des|di|in|la)?"
    r"(?:\s+(?:the|la|le|der|den|el))?)?\s*[\"'`*\[(]*$",
    re.IGNORECASE,
)
"""A preposition, and what may stand between it and a name."""

LIST_GAP = re.compile(
    r"[\s,;/&+|()\[\]\"'`*%–\-:]*"
    r"(?:(?:and|or|as well as|then|also|plus|und|oder|sowie|et|ou|y|o|e|the|on|its|both|with|of|in|train(?:ing"
    r"|val)?|test(?:ing|ed)?|validation|dev|set|sets|split|splits|data|dataset|datasets|corpus|"
    r"benchmark|benchmarks|val|top|corpora|triplets|pairs|和|及|と|、|"
    r"\d+(?:[.,]\d+)*(?:\s?[hk%])?|accuracy|f1|bleu|wer|em|for|english|german|french|spanish)"
    r"[\s,;/&+|()\[\]\"'`*%–\-:=.]*){0,7}",
    re.IGNORECASE,
)
"""What may stand between two names of one list."""

BOUNDARY = re.compile(
    r"[;:()]|\s[–—-]\s|,|，|\bbut\b|\bwhile\b|\bwhereas\b|\balthough\b|\bthough\b|\bsondern\b|\bmais\b|\bpero\b|\bmas\b"
    r"|\band (?=(?:(?:it|was|were|is|are|then|we|I|has|have|been)\s+){0,3}(?:not |never |only )?(?:further "
    r"|later )?(?:fine-?\s?tun|train|evaluat|test|report))",
    re.IGNORECASE,
)

UNFINISHED = re.compile(
    r"\s*(?:which|that|who|whose|was|were|is|are|had|has|have|then(?! (?:I|we|it)\b)|further|for example|e\.g\.|"
    r"such as|including"
    r"|like|namely|"
    r"and (?:was|were|is|are|then|has)|die|das|der|qui|que|in particular)\b",
    re.IGNORECASE,
)
"""A clause that begins so goes on with what stood before it."""

BEFORE: dict[str, re.Pattern[str]] = {
    "negated": _cue(
        r"\bnot\b", r"n't\b", r"\bnever\b", r"\bwithout\b", r"\bexcept\b", r"\bexclud\w+", r"\binstead of\b",
        r"\brather than\b", r"\bin place of\b",
        r"\bno (?:data|part|examples?|samples?|images?|texts?|labels?)\b", r"\bneither\b", r"\bnor\b",
        r"\bunlike\b", r"\bcontrary to\b", r"\bother than\b",
        r"\bremoved? (?:all )?(?:from|of)\b", r"\bavoid\w*\b", r"\bno longer\b", r"\bcannot\b",
        r"\bne\b.{0,30}\bpas\b", r"\bsans\b", r"\bnicht\b", r"\bohne\b", r"\bstatt\b", r"\bkein\w*\b",
        r"\bno se\b", r"\bno (?:fue|ha|está)\b", r"\bsin\b", r"\bnão\b", r"\bsem\b",
        r"\bnon\b", r"\bniet\b", r"\bне\b", r"没有", r"未", r"不是", r"ません", r"ない", r"않",
    ),
    "compared": _cue(
        r"\b(?:larg|small|hard|easi|bett|bigg|long|short|clean|fast|few)er\b", r"\bmore \w+ than\b",
        r"\bthan\b", r"\btimes as\b", r"\bas \w+ as\b",
        r"\bcompar(?:ed?|ison|able|ing)\b", r"\bsimilar to\b", r"^\W*like\b", r"\bis like\b",
        r"\blike that of\b", r"\binspired by\b", r"\bfollow(?:s|ing)?\b",
        r"\bin the (?:style|format|layout|spirit) of\b",
        r"\bin contrast\b", r"\ba (?:tenth|half|third|quarter) of\b", r"\bwie (?:bei|in)\b", r"\bcomparé\b",
        r"\bmodelled (?:on|after)\b", r"\blook(?:s)? like\b",
    ),
    "intended": _cue(
        r"\b(?:can|could|may|might|should|would|will|shall)\b(?! (?:be )?seen)", r"\bwant to\b",
        r"\bplan(?:s|ned)? to\b", r"\bintend\w*\b", r"\bfuture\b",
        r"^\W*to (?:evaluate|train|fine-?tune|test|reproduce|try|use|download|compare)\b",
        r"\byou\b", r"\byourself\b", r"\bif (?:one|somebody)\b", r"\bpourra\w*\b", r"\bkönn\w+\b",
        r"\bpuede\w*\b", r"\bhow to\b",
    ),
    "others": _cue(
        r"(?<!these )(?<!our )(?<!all )(?<!both )(?<!the )(?<!following )(?<!^)\bmodels?\b(?: that (?:were|are"
        r"|was|is))? (?:are |were )?(?:pre-?)?trained\b(?<!model trained)(?<!model pretrained)(?<!model pre-trained)",
        r"^\W*models (?:that (?:were|are) )?(?:pre-?|fine-?)?(?:trained|tuned)\b",
        r"\b\w+ models are (?:pre-?)?trained\b",
        r"\b(?:earlier|previous|former|older|another|other|later|companion|sister) (?:\w+ )?(?:models?"
        r"|versions?|checkpoints?|networks?|nets?)\b",
        r"\bteacher\b",
    ),
}  # fmt: skip
"""Cues in the clause before a name, nearest role first where none of them is."""

AFTER: dict[str, re.Pattern[str]] = {
    "negated": re.compile(
        r"^[^,.;:]{0,30}?\b(?:not|never|nicht|pas|n't) (?:been |be )?(?:use|used|train|trained|evaluat\w+"
        r"|measur\w+|includ\w+|seen|test\w*|part|verwendet|trainiert|report\w*)\b"
        r"|^[^,;:]{0,40}?\b(?:was|were|is|are|been|being) (?:\w+ )?(?:removed|excluded|filtered|left out"
        r"|dropped|omitted|discarded|held out)\b"
        r"|^[^,;:]{0,20}ではありません|^[^,;:]{0,20}(?:ません|않)",
        re.IGNORECASE,
    ),
    "compared": re.compile(
        r"^(?:[’']s)?[\s-]*(?:\w+ ){0,2}(?:format|layout|style|scheme|schema|structure|like|spirit|tokeni[sz]er"
        r"|naming|classes|labels? set)\b"
        r"|^\s*,?\s*(?:in contrast|by contrast|on the other hand)\b|^\)?\s*(?:are|is) (?:much |far "
        r"|a lot )?(?:harder|larger|smaller|easier|bigger)\b",
        re.IGNORECASE,
    ),
    "intended": re.compile(
        r"^\s*(?:was|were|is|are) (?:considered|planned|intended)\b|^\s*(?:will|would|could|might) (?:be|follow)\b"
                           r"|^[^,.;:]{0,20}\b(?:planned|to come|coming soon)\b", re.IGNORECASE),
    "base": re.compile(
        r"^[\s\-–]*(?:1k|21k|22k)?[\s\-–]*(?:weights|checkpoints?|backbone|initiali[sz]ation|pre-?train\w*"
        r"|features|init|statistics|mean|normali[sz]ation|encoder)\b"
        r"|^\s*by (?:its|their|the) (?:\w+ )?authors\b|^\s*by others\b", re.IGNORECASE),
}  # fmt: skip
"""Cues that stand behind a name."""

BASE_NOUN = _cue(
    r"\b(?:start(?:ed|s|ing)?|begin|began|begun|initiali[sz]ed|based|built|build) (?:\w+ )?(?:from|with|on|upon)\b",
    r"\b(?:from|with|a|an|another) (?:[\w./-]+ ){0,3}(?:checkpoint|backbone)\b", r"\bbackbone\b",
    r"\bbase model\b",
    r"\bwhose authors\b", r"\bhad been\b", r"\bby (?:others|its authors|their authors)\b",
    r"\boriginal(?:ly)? (?:weights|model|checkpoint)?", r"\bencoder is\b", r"\bwe took\b", r"\b(?:took|used) an?\b",
    r"\bthat (?:was|were|had been|is|are) pre-?train", r"\bfrozen\b", r"\bweights\b",
)
"""That the sentence speaks of what the model began with."""

OF_OTHERS = re.compile(
    r"^\W*(?:see\b|see also\b|others?\b(?= of| are| models?)|related\b|similar models?\b|our other models\b"
    r"|also available\b|for (?:other|more)\b)"
    r"|\bsee (?:also )?(?:our other|the model|my other|the other)\b|\bour other models\b",
    re.IGNORECASE,
)
"""A sentence on other models."""

DATA_WORD = re.compile(
    r"^[\"'`*\])]*\s*(?:\([^)]{0,40}\)\s*)?(?:data\s?sets?|corpus|corpora|benchmark|challenge|task"
    r"|train(?:ing)?\b|test\b|dev\b|validation|daten\w*|数据集|データセット)", re.IGNORECASE
)
"""That what stands before is a dataset."""

HEADINGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("others", re.compile(
        r"\b(?:other|related|similar) (?:models|work|resources)\b|\backnowledg|\bcitation|\bcite\b"
        r"|\breferences?\b|\bbibtex\b|\bmodel zoo\b", re.IGNORECASE
    )),
    ("intended", re.compile(
        r"\bintended\b|\bhow to\b|\busage\b|\blimitations?\b|\bfuture\b|\bto-?do\b|\bprompt\b|\bexamples?\b"
        r"|\broadmap\b", re.IGNORECASE
    )),
    ("base", re.compile(r"\bbase model\b", re.IGNORECASE)),
    ("trained", re.compile(
        r"\btrain(?:ing|ed)?\b|\bdata\b|\bdata\s?sets?\b|\bcorp(?:us|ora)\b|\bfine-?tuning\b|\bdonnées\b"
        r"|\bdaten\b|\bdatos\b|数据|データ", re.IGNORECASE
    )),
    ("evaluated", re.compile(
        r"\beval\w*\b|\bresults?\b|\bbenchmarks?\b|\bperformance\b|\btest\w*\b|\bmetrics?\b|\baccuracy\b"
        r"|\bscores?\b|\brésultats\b|\bergebnisse\b", re.IGNORECASE
    )),
)  # fmt: skip
"""What the headings above say of names in lists and tables; the innermost heading with a cue counts."""

TABLE_HEAD = re.compile(
    r"\bdata\s?sets?\b|\bdata\b|\btrain\w*\b|\btests?\b|\btest sets?\b|\btasks?\b|\bbenchmarks?\b|\bcorpus\b"
    r"|\beval\w*\b|\bdaten\w*\b", re.IGNORECASE
)
"""Heads of columns that hold names of datasets."""

TRAINING_HEAD = _cue(r"train", r"pairs", r"tuples", r"\bsize\b", r"samples")
"""Heads of such columns, or of tables, that speak of training."""

BASE_HEAD = _cue(r"pre-?train", r"backbone", r"weights")
"""Heads of columns on what models began with."""

BASE_FOR_SURE = _cue(r"had been", r"\bused an?\b", r"whose", r"base model", r"encoder is", r"original")
"""Of `BASE_NOUN`, what makes a fine-tuning the base's too."""

BASE_WORD = _cue(r"\b(?:frozen|backbone|initiali[sz]ed|pre-?trained)\b")
"""Words before a name without a verb of its own."""

OWN_PRETRAINING = _cue(
    r"\b(?:this|the|our|these|final) (?:[\w-]+ ){0,2}(?:models?|checkpoint|network|weights|encoder) "
    r"(?:was|were|is|are|has been|had been)?\s*(?:also )?(?:first )?pre-?train"
)
"""That the pretraining is told of the card's own model."""

TRAINED_BEHIND = _cue(
    r"^[\s\]\"'`*)]*(?:for|zum|pour|para)\s(?:\w+\s)?(?:training|fine-?tuning|train|apprentissage)\b",
    r"で(?:学習|訓練|微調整)", r"(?:数据集|数据)?上(?:进行)?(?:训练|微调|预训练)", r"trainiert", r"に(?:て)?学習",
)  # fmt: skip
"""That training follows behind the name."""
