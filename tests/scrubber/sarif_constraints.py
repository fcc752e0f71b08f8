"""What SARIF 2.1.0 demands of the objects that our reports are made of, as a JSON schema.

Written from the standard (OASIS Standard, 27 March 2020, sections 3.10 to 3.58), for the objects that we write. As
in the standard's own schema none may have a property that is not described; those that we have no use for are left out.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_BAG = {"type": "object", "properties": {"tags": {"type": "array", "items": _TEXT, "uniqueItems": True}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_GUID = {"type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"}
_TIME = {"type": "string", "format": "date-time"}
_INDEX = {"type": "integer", "minimum": -1}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_REFERENCE = {"type": "string", "format": "uri-reference"}


def _object(required: tuple[str, ...] = (), *, one_of: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """Describe an object with those properties, a property bag, and no others; of *one_of* one at least is there."""
    made: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {**properties, "properties": _BAG},
        "required": list(required),
    }
    if one_of:
        made["anyOf"] = [{"required": [name]} for name in one_of]
    return made


def _list(of: dict[str, Any], *, unique: bool = False) -> dict[str, Any]:
    return {"type": "array", "items": of, "uniqueItems": unique}


_MESSAGE = _object(one_of=("text", "id"), text=_TEXT, markdown=_TEXT, id=_TEXT, arguments=_list(_TEXT))  # 3.11
_MULTIFORMAT = _object(("text",), text=_TEXT, markdown=_TEXT)  # 3.12
_ARTIFACT_LOCATION = _object(uri=_REFERENCE, uriBaseId=_TEXT, index=_INDEX, description=_MESSAGE)  # 3.4
_REGION = _object(  # 3.30
    startLine={"type": "integer", "minimum": 1},
    startColumn={"type": "integer", "minimum": 1},
    endLine={"type": "integer", "minimum": 1},
    endColumn={"type": "integer", "minimum": 1},
    charOffset=_INDEX,
    charLength=_COUNT,
    byteOffset=_INDEX,
    byteLength=_COUNT,
    message=_MESSAGE,
    sourceLanguage=_TEXT,
)
_PHYSICAL = _object(  # 3.29
    one_of=("address", "artifactLocation"),
    artifactLocation=_ARTIFACT_LOCATION,
    region=_REGION,
    contextRegion=_REGION,
)
_LOCATION = _object(  # 3.28
    id=_INDEX,
    physicalLocation=_PHYSICAL,
    message=_MESSAGE,
    annotations=_list(_REGION, unique=True),
)
_ARTIFACT = _object(  # 3.24
    description=_MESSAGE,
    location=_ARTIFACT_LOCATION,
    parentIndex=_INDEX,
    offset=_COUNT,
    length=_INDEX,
    mimeType={"type": "string", "pattern": "[^/]+/.+"},
    encoding=_TEXT,
    sourceLanguage=_TEXT,
    hashes=_TEXTS,
    lastModifiedTimeUtc=_TIME,
)
_DESCRIPTOR = _object(  # 3.49
    ("id",),
    id=_TEXT,
    guid=_GUID,
    name=_TEXT,
    shortDescription=_MULTIFORMAT,
    fullDescription=_MULTIFORMAT,
    defaultConfiguration=_object(  # 3.50
        enabled={"type": "boolean"},
        level=_LEVEL,
        rank={"type": "number", "minimum": -1, "maximum": 100},
        parameters=_BAG,
    ),
    helpUri={"type": "string", "format": "uri"},
    help=_MULTIFORMAT,
)
_COMPONENT = _object(  # 3.19
    ("name",),
    guid=_GUID,
    name=_TEXT,
    organization=_TEXT,
    product=_TEXT,
    fullName=_TEXT,
    version=_TEXT,
    semanticVersion=_TEXT,
    informationUri={"type": "string", "format": "uri"},
    rules=_list(_DESCRIPTOR, unique=True),
    notifications=_list(_DESCRIPTOR, unique=True),
)
_NOTIFICATION = _object(  # 3.58
    ("message",),
    locations=_list(_LOCATION, unique=True),
    message=_MESSAGE,
    level=_LEVEL,
    threadId={"type": "integer"},
    timeUtc=_TIME,
    descriptor=_object(one_of=("index", "guid", "id"), id=_TEXT, index=_INDEX, guid=_GUID),  # 3.52
)
_INVOCATION = _object(  # 3.20
    ("executionSuccessful",),
    commandLine=_TEXT,
    arguments=_list(_TEXT),
    startTimeUtc=_TIME,
    endTimeUtc=_TIME,
    exitCode={"type": "integer"},
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications=_list(_NOTIFICATION),
    toolConfigurationNotifications=_list(_NOTIFICATION),
)
_RESULT = _object(  # 3.27
    ("message",),
    ruleId=_TEXT,
    ruleIndex=_INDEX,
    kind={"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
    level=_LEVEL,
    message=_MESSAGE,
    analysisTarget=_ARTIFACT_LOCATION,
    locations=_list(_LOCATION),
    guid=_GUID,
    occurrenceCount={"type": "integer", "minimum": 1},
    partialFingerprints=_TEXTS,
    fingerprints=_TEXTS,
    rank={"type": "number", "minimum": -1, "maximum": 100},
)
_RUN = _object(  # 3.14
    ("tool",),
    tool=_object(("driver",), driver=_COMPONENT, extensions=_list(_COMPONENT, unique=True)),  # 3.18
    invocations=_list(_INVOCATION),
    language={"type": "string", "pattern": "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$"},
    artifacts=_list(_ARTIFACT, unique=True),
    results=_list(_RESULT),
    defaultEncoding=_TEXT,
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    redactionTokens=_list(_TEXT, unique=True),
)
LOG: dict[str, Any] = _object(("version", "runs"), version={"enum": ["2.1.0"]}, runs=_list(_RUN))  # 3.13
LOG["properties"]["$schema"] = {"type": "string", "format": "uri"}
