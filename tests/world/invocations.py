"""Events of other sources than those that Keyturn's functions are for, as the AWS documentation shows them."""

from __future__ import annotations

SCHEDULE = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2027-01-15T16:53:06Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:events:eu-west-1:123456789012:rule/warm"],
    "detail": {},
}
SNS = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"Message": "x", "Subject": None}}]}
SQS = {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "{}", "attributes": {}}]}
ALB = {
    "requestContext": {
        "elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/y"}
    },
    "httpMethod": "GET",
    "path": "/health",
    "queryStringParameters": {},
    "headers": {"host": "x"},
    "body": "",
    "isBase64Encoded": False,
}
PAYLOAD_2 = {
    "version": "2.0",
    "routeKey": "GET /health",
    "rawPath": "/health",
    "rawQueryString": "",
    "headers": {"host": "x"},
    "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "192.0.2.1"}, "stage": "$default"},
    "isBase64Encoded": False,
}
WEBSOCKET = {
    "requestContext": {"routeKey": "$default", "eventType": "MESSAGE", "connectionId": "x", "stage": "api"},
    "body": "{}",
    "isBase64Encoded": False,
}
