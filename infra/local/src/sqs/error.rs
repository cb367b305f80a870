//! Errors as SQS words them, so that the SDK's typed errors work.

use serde_json::{Value, json};

use crate::queue::ReceiptError;

/// An error answer: the name in the JSON protocol, the older name that the query protocol had, and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SqsError {
    kind: &'static str,
    code: &'static str,
    message: String,
}

impl SqsError {
    fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        let message = format!("The action {operation:?} is not one that the local queues know.");
        Self::new("com.amazon.coral.service#UnknownOperationException", "InvalidAction", message)
    }

    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::new("com.amazon.coral.service#SerializationException", "MalformedInput", error.to_string())
    }

    pub(super) fn no_such_queue() -> Self {
        let message = "The specified queue does not exist.";
        Self::new("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", message)
    }

    pub(super) fn invalid(message: String) -> Self {
        Self::new("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", message)
    }

    pub(super) fn missing(message: &str) -> Self {
        Self::new("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter", message)
    }

    pub(super) fn unsupported(message: &str) -> Self {
        Self::new("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
    }

    pub(super) fn invalid_contents(refused: char) -> Self {
        let message = format!(
            "Invalid character U+{:04X} was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to \
             #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            u32::from(refused)
        );
        Self::new("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn empty_batch() -> Self {
        let message = "There should be at least one entry in the request.";
        Self::new("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", message)
    }

    pub(super) fn too_many_entries(count: usize, most: usize) -> Self {
        let message = format!("Maximum number of entries per request are {most}. You have sent {count}.");
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        Self::new("com.amazonaws.sqs#TooManyEntriesInBatchRequest", code, message)
    }

    pub(super) fn ids_not_distinct(id: &str) -> Self {
        let message = format!("Id {id} repeated.");
        Self::new(
            "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            message,
        )
    }

    pub(super) fn invalid_id() -> Self {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        Self::new("com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", message)
    }

    pub(super) fn batch_too_long(bytes: usize, most: usize) -> Self {
        let message = format!("Batch requests cannot be longer than {most} bytes. You have sent {bytes} bytes.");
        Self::new("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", message)
    }

    /// The value of the header `x-amzn-query-error`. Every error here is the sender's.
    pub(super) fn query_code(&self) -> String {
        format!("{};Sender", self.code)
    }

    pub(super) fn body(&self) -> Value {
        json!({ "__type": self.kind, "message": self.message })
    }

    /// The error as one entry of a batch has it.
    pub(super) fn entry(&self, id: &str) -> Value {
        json!({ "Id": id, "SenderFault": true, "Code": self.code, "Message": self.message })
    }
}

impl From<ReceiptError> for SqsError {
    fn from(error: ReceiptError) -> Self {
        match error {
            ReceiptError::Malformed => {
                let message = "The input receipt handle is invalid.";
                Self::new("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
            }
            ReceiptError::Expired => Self::invalid(
                "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.".to_owned(),
            ),
            ReceiptError::NotInFlight => {
                let code = "AWS.SimpleQueueService.MessageNotInflight";
                Self::new("com.amazonaws.sqs#MessageNotInflight", code, "The message is not in flight.")
            }
        }
    }
}
