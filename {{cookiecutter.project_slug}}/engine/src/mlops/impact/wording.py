"""The sentences of the account of impact, in each language that it is written in."""

from typing import NamedTuple


class Words(NamedTuple):
    """What the page says; braces are filled in. `page` is the language as HTML names it."""

    page: str
    title: str
    lead: str
    months: str
    month: str
    model: str
    decisions: str
    people: str
    decided: str
    nothing: str
    before: str
    unknown: str
    untested: str
    interval: str
    points: str
    total: str
    chart: str
    how: str
    explained: tuple[str, ...]
    served: str
    since: str
    until: str
    now: str
    tried: str
    ended: str
    verdict: str
    verdicts: dict[str, str]


ENGLISH = Words(
    page="en",
    title="What the model did",
    lead="{environment}: {decisions} decisions for {people} people, {first} to {last}.",
    months="Month by month",
    month="Month",
    model="Model",
    decisions="Decisions",
    people="People",
    decided="What it decided",
    nothing="Against doing nothing",
    before="Against the model before",
    unknown="nothing was reported",
    untested="not compared with people",
    interval="{value} (between {low} and {high})",
    points="{value} a person (between {low} and {high})",
    total="Together",
    chart="What was earned against doing nothing ({currency})",
    how="How to read this",
    explained=(
        "Against doing nothing: the sum of what was reported to have come of the decisions. Doing "
        "nothing counts as 0, so report a value as what was gained by acting.",
        "Against the model before: what an experiment with real people showed, in which chance "
        "decided who met which model, times the people of the month.",
        "Between: the truth lies in this range in 19 of 20 such cases.",
        "Where nothing was reported, or no experiment was made, nothing is claimed.",
    ),
    served="Which model served",
    since="From",
    until="To",
    now="today",
    tried="Experiments",
    ended="Ended",
    verdict="Outcome",
    verdicts={
        "better": "better: it was to become the model for everyone",
        "worse": "worse: the model before stayed",
        "undecided": "no difference that matters: the model before stayed",
        "passed": "no harm seen: it was to become the model for everyone",
        "broken": "not usable: people were not assigned as drawn",
        "stopped": "stopped early",
    },
)
JAPANESE = Words(
    page="ja",
    title="モデルの成果",
    lead="{environment}: {first}から{last}まで、{people}人について{decisions}件を判断しました。",
    months="月ごとの成果",
    month="月",
    model="モデル",
    decisions="判断の件数",
    people="人数",
    decided="判断の内訳",
    nothing="何もしなかった場合との差",
    before="前のモデルとの差",
    unknown="報告なし",
    untested="比較実験なし",
    interval="{value}({low}から{high}の間)",
    points="一人あたり{value}({low}から{high}の間)",
    total="合計",
    chart="何もしなかった場合との差({currency})",
    how="表の読み方",
    explained=(
        "「何もしなかった場合との差」は、判断の結果として報告された値の合計です。何もしない場合を0と"
        "数えるため、行動によって増えた分を値として報告してください。",
        "「前のモデルとの差」は、どの人にどちらのモデルを使うかをくじで決めた実験の結果に、その月の"
        "人数を掛けたものです。",
        "「間」は、同じような場合の20回のうち19回で、真の値が入る範囲です。",
        "報告も実験もない場合は、何も主張しません。",
    ),
    served="使われたモデル",
    since="開始",
    until="終了",
    now="現在",
    tried="比較実験",
    ended="終了日",
    verdict="結果",
    verdicts={
        "better": "改善: 全員に使うモデルになりました",
        "worse": "悪化: 前のモデルを使い続けました",
        "undecided": "意味のある差なし: 前のモデルを使い続けました",
        "passed": "問題なし: 全員に使うモデルになりました",
        "broken": "判定不能: くじのとおりに割り当てられていませんでした",
        "stopped": "途中で中止",
    },
)
LANGUAGES = {"en": ENGLISH, "ja": JAPANESE}
