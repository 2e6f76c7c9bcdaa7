"""The registry in the words of Netflix Eureka's REST operations (v2), JSON and XML: its clients need no change."""
