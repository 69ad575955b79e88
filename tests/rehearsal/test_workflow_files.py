"""What a workflow may say, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal import workflow
from rehearsal.world import HEAD


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], object]:
    def run(text: str) -> object:
        (tmp_path / "w.yml").write_text(text)
        return workflow.load(tmp_path / "w.yml")

    return run


GOOD = f"""{HEAD}
jobs:
  one:
    runs-on: x
    steps: [{{id: a, run: 'true'}}]
    outputs: {{o: '${{{{ steps.a.outputs.o }}}}'}}
  two: {{runs-on: x, needs: one, if: always(), steps: [{{run: 'true', env: {{V: x}}}}]}}
"""


def test_a_workflow_is_read(load: Callable[[str], object]) -> None:
    load(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("permissions: {}", "permission: {}", "permission is not known"),
        ("permissions: {}", "permissions: write-all", "mapping"),
        ("permissions: {}", "permissions: {content: read}", "content is not known"),
        ("permissions: {}", "permissions: {contents: all}", "no permission"),
        ("pull_request:", "pull_request_target:", "pull_request_target"),
        ("pull_request: {branches", "pull_request: {branches-ignore", "branches-ignore"),
        ("needs: one", "needs: three", "three"),
        ("needs: one", "neds: one", "neds"),
        ("runs-on: x, needs", "strategy: {}, runs-on: x, needs", "strategy"),
        ("if: always()", "if: allways()", "allways"),
        ("if: always()", "if: secrets.A == ''", "secrets"),
        ("if: always()", "if: env.A == ''", "env"),
        ("if: always()", "if: '${{ true }} x'", "always true"),
        ("if: always()", "if: needs.two.result == ''", "without needing"),
        ("{V: x}", "{V: '${{ steps.nobody.outputs.o }}'}", "nobody"),
        ("{V: x}", "{V: '${{ needs.zero.result }}'}", "without needing"),
        ("{V: x}", "{V: '${{ unknown.x }}'}", "unknown"),
        ("{V: x}", "{V: '${{ success() }}'}", "success"),
        ("steps.a.outputs", "steps.b.outputs", "no step 'b'"),
        ("run: 'true', env", "uses: a/b@c, run: x, env", "one of uses and run"),
        ("run: 'true', env", "runs: x, env", "runs is not known"),
        ("run: 'true', env", "run: x, with: {a: b}, env", "no with"),
        ("shell: bash", "shell: sh", "bash"),
        ("name: w", "name: w\nname: v", "duplicate key"),
    ],
)
def test_what_is_not_known_is_refused(
    load: Callable[[str], object], old: str, new: str, said: str
) -> None:
    assert old in GOOD
    with pytest.raises(Exception, match=said):
        load(GOOD.replace(old, new))
