"""The engine for fleets that one machine cannot rotate in time: AWS Step Functions calls these functions on Lambda."""
