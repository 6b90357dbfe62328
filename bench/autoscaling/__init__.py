"""The scalers of the chart, rehearsed: synthetic load through its own queries, the HPA's algorithm and KEDA's."""
