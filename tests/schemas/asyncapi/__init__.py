"""The AsyncAPI document, against AsyncAPI's own JSON schema.

asyncapi-3.0.0.json is `schemas/3.0.0.json` of the npm package @asyncapi/specs 6.8.1 (Apache License 2.0), unchanged.
"""
