import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { plain } from '@zwsbridge/zws';
import { useReadings } from './useReadings.js';

function Login({ onLogin }) {
  const submit = (event) => {
    event.preventDefault();
    const { user, password } = Object.fromEntries(new FormData(event.target));
    onLogin({ user, login: plain(user, password) });
  };
  return (
    <form onSubmit={submit}>
      <label>User <input name="user" autoComplete="username" required /></label>{' '}
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>{' '}
      <button>Log in</button>
    </form>
  );
}

function House({ user, login, onLogout }) {
  const { state, why, readings } = useReadings('/devices', `house/${user}/`, login);
  return (
    <section>
      <p role="status">{state}{why?.code ? `: ${why.reason} (${why.code})` : ''}</p>
      <dl>
        {[...readings].sort().map(([topic, value]) => (
          <div key={topic}><dt>{topic}</dt><dd>{value}</dd></div>
        ))}
      </dl>
      <button onClick={onLogout}>Log out</button>
    </section>
  );
}

function App() {
  const [session, setSession] = useState(null);
  return session ? <House {...session} onLogout={() => setSession(null)} /> : <Login onLogin={setSession} />;
}

createRoot(document.getElementById('app')).render(<StrictMode><App /></StrictMode>);
