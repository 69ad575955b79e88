"""Pull requests of a rehearsed GitHub."""

from dataclasses import dataclass

REPOSITORY = "acme/customer-churn"
AUTOMATION = "github-actions[bot]"


@dataclass
class Pull:
    """A pull request; its base is main."""

    number: int
    repository: str
    branch: str
    head: str
    author: str = "somebody"
    state: str = "OPEN"
    title: str = ""
    body: str = ""
