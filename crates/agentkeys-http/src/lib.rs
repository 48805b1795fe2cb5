//! The HTTP manners that all AgentKeys servers share: limits, strict bodies, error shape, request ids.
