"""What calls say about sessions: which are meant, how long they go on, which tokens to judge."""

from typing import Annotated

from pydantic import ConfigDict, Field, StrictBool, model_validator

from iam.api.schemas import (
    Body,
    Label,
    Moment,
    Name,
    Network,
    Seconds,
    UserName,
    absent,
    text_of,
)
from iam.sessions.listing import State


class EndFilter(Body):
    """The live sessions that match every member. `organization` is the caller's own by default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    organization: Name = Field(default_factory=absent)
    user: UserName = Field(default_factory=absent)
    application: Name = Field(default_factory=absent)
    instance: Label = Field(default_factory=absent)
    parent: Label = Field(default_factory=absent)
    ip: Network = Field(default_factory=absent, description="An address or a network.")
    device: Label = Field(default_factory=absent)
    browser: Label = Field(default_factory=absent)
    amr: Label = Field(default_factory=absent)
    acr: Label = Field(default_factory=absent)
    started_after: Moment = Field(default_factory=absent)
    started_before: Moment = Field(default_factory=absent)
    last_active_before: Moment = Field(default_factory=absent)
    state: State = Field(default_factory=absent, description="Of `ended` ones none is ended.")
    but_current: StrictBool = Field(False, description="Leave the caller's own session out.")

    @model_validator(mode="after")
    def _says_something(self) -> "EndFilter":
        # An empty filter would mean everything: nobody should say that by leaving something out.
        if not self.model_fields_set:
            raise ValueError("the filter is empty")
        return self


Reason = Annotated[str, text_of(1, 512)]


class EndBody(Body):
    """Which sessions to end: exactly one of `ids`, `filter` and `cursor`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["ids"]}, {"required": ["filter"]}, {"required": ["cursor"]}]
        },
    )

    ids: Annotated[list[Label], Field(min_length=1, max_length=1000)] = Field(
        default_factory=absent
    )
    filter: EndFilter = Field(default_factory=absent)
    cursor: Label = Field(default_factory=absent, description="Of the answer before: go on.")
    dry_run: StrictBool = Field(False, description="Only say which sessions would end.")
    confirm: Label | None = Field(
        None, description="What the dry run of this filter answered: needed above 100 sessions."
    )
    reason: Reason | None = Field(None, description="A note that the events keep.")

    @model_validator(mode="after")
    def _either(self) -> "EndBody":
        if len(self.model_fields_set & {"ids", "filter", "cursor"}) != 1:
            raise ValueError("give exactly one of 'ids', 'filter' and 'cursor'")
        return self


class NotBeforeBody(Body):
    """Everything that matches and was authenticated before an instant is over."""

    organization: Name = Field(default_factory=absent, description="Default: the caller's own.")
    user: UserName = Field(default_factory=absent)
    application: Name = Field(default_factory=absent)
    amr: Label = Field(default_factory=absent, description="A method of authentication.")
    before: Moment = Field(default_factory=absent, description="Default: now.")
    but_current: StrictBool = Field(False, description="Leave the caller's own session out.")
    dry_run: StrictBool = Field(False, description="Only say how many sessions that would be.")
    reason: Reason | None = Field(None, description="A note that the event keeps.")


class ExtendBody(Body):
    """For how much longer a session may live."""

    lifetime: Seconds | None = Field(
        None, description="Seconds from now; default: as long as the policy allows."
    )


class ValidateBody(Body):
    """Tokens to judge. Anything may be presented as a token."""

    tokens: Annotated[list[str], Field(min_length=1, max_length=1000)]
