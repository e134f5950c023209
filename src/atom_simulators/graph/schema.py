"""The properties that messages and folders have, with their types (CSDL of Graph v1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass

DATE = "Edm.DateTimeOffset"
BOOLEAN = "Edm.Boolean"
STRING = "Edm.String"
INTEGER = "Edm.Int32"
COMPLEX = "complex"
COLLECTION = "collection"

MESSAGE_TYPE = "microsoft.graph.message"
FOLDER_TYPE = "microsoft.graph.mailFolder"

MESSAGE: Mapping[str, str] = {
    "id": STRING,
    "createdDateTime": DATE,
    "lastModifiedDateTime": DATE,
    "changeKey": STRING,
    "categories": COLLECTION,
    "receivedDateTime": DATE,
    "sentDateTime": DATE,
    "hasAttachments": BOOLEAN,
    "internetMessageId": STRING,
    "internetMessageHeaders": COLLECTION,
    "subject": STRING,
    "bodyPreview": STRING,
    "importance": STRING,
    "parentFolderId": STRING,
    "conversationId": STRING,
    "conversationIndex": "Edm.Binary",
    "isDeliveryReceiptRequested": BOOLEAN,
    "isReadReceiptRequested": BOOLEAN,
    "isRead": BOOLEAN,
    "isDraft": BOOLEAN,
    "webLink": STRING,
    "inferenceClassification": STRING,
    "body": COMPLEX,
    "uniqueBody": COMPLEX,
    "sender": COMPLEX,
    "from": COMPLEX,
    "toRecipients": COLLECTION,
    "ccRecipients": COLLECTION,
    "bccRecipients": COLLECTION,
    "replyTo": COLLECTION,
    "flag": COMPLEX,
}

FOLDER: Mapping[str, str] = {
    "id": STRING,
    "displayName": STRING,
    "parentFolderId": STRING,
    "childFolderCount": INTEGER,
    "unreadItemCount": INTEGER,
    "totalItemCount": INTEGER,
    # Sent by the live service though the CSDL does not have it.
    "sizeInBytes": "Edm.Int64",
    "isHidden": BOOLEAN,
}

# Paths inside complex properties that a $filter or $orderby may name.
PATHS: Mapping[str, str] = {
    "from/emailAddress/address": STRING,
    "from/emailAddress/name": STRING,
    "sender/emailAddress/address": STRING,
    "sender/emailAddress/name": STRING,
    "flag/flagStatus": STRING,
    "body/content": STRING,
    "body/contentType": STRING,
}

# Given only when $select or $expand names them.
ON_REQUEST = frozenset({"uniqueBody", "internetMessageHeaders"})
NAVIGATIONS = frozenset({"attachments", "extensions", "singleValueExtendedProperties", "multiValueExtendedProperties"})
# Of eventMessage and its kin; a $select names them behind the type's name.
OF_EVENTS = frozenset(
    {"meetingMessageType", "startDateTime", "endDateTime", "location", "recurrence", "isAllDay", "isOutOfDate"}
    | {"isDelegated", "type"}
)
# What Mail.ReadBasic does not show.
NOT_BASIC = frozenset({"body", "bodyPreview", "uniqueBody"}) | NAVIGATIONS

WELL_KNOWN = frozenset(
    {"archive", "clutter", "conflicts", "conversationhistory", "deleteditems", "drafts", "inbox", "junkemail"}
    | {"localfailures", "msgfolderroot", "outbox", "recoverableitemsdeletions", "scheduled", "searchfolders"}
    | {"sentitems", "serverfailures", "syncissues"}
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A resource type's name and the property paths that it knows, with their types."""

    type_name: str
    properties: Mapping[str, str]
    paths: Mapping[str, str]

    def type_of(self, path: str) -> str | None:
        """The type of a property path, None where there is no such property."""
        return self.properties.get(path) or self.paths.get(path)


MESSAGES = Vocabulary(MESSAGE_TYPE, MESSAGE, PATHS)
FOLDERS = Vocabulary(FOLDER_TYPE, FOLDER, {})
