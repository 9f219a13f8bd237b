/* ring's build gives its symbols a prefix by this header. Here they keep their names. */
