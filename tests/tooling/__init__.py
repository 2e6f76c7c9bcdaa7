"""Tests of the tools around the pipeline, without servers: services, watch, demo, commands, control."""
