use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Makes everything else go before this thread.
///
/// Linux lets a thread that wakes up take the core from one of `SCHED_IDLE` at once. From one that
/// merely has a high nice value, it may have to wait until that has had its slice, for a millisecond or
/// several; and a request wakes several threads. Neither takes a privilege.
pub(super) fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // On Linux this concerns this thread alone.
    let policy = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    // For tools that show nice values, and where the policy is not to be had.
    let nice = rustix::process::setpriority_process(None, 19);
    if let (Err(policy), Err(nice)) = (policy, nice) {
        tracing::debug!(?policy, %nice, "cannot lower the priority of a hashing thread");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use thread_priority::thread_schedule_policy;

    #[test]
    fn a_thread_that_gave_way_is_idle_and_the_others_are_as_before() {
        let before = thread_schedule_policy().unwrap();
        let given = std::thread::spawn(|| {
            give_way();
            thread_schedule_policy().unwrap()
        });
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(given.join().unwrap(), idle);
        assert_eq!(thread_schedule_policy().unwrap(), before);
    }
}
